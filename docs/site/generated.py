"""Parts of pages that are made from the code: lists of all configuration fields, and help pages of all commands."""

import contextlib
import io
import os
import re
import sys
from unittest import mock

from pipelines.config import DataConfig
from socialmd_tf import __main__ as program
from socialmd_tf.__main__ import COMMANDS
from socialmd_tf.command_line.flags import find_flags
from socialmd_tf.config import FitConfig, ModelConfig, TrainConfig

_PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def fill(markdown):
    """Replace lines such as `<!-- generated: commands -->` by what they name."""
    return _PLACE.sub(lambda place: PARTS[place[1]](), markdown)


def train_fields():
    """Fields of `TrainConfig` itself."""
    return _list(TrainConfig, lambda field: "." not in field)


def windows_fields():
    """Fields of `DataConfig`."""
    return _list(DataConfig, prefix="windows.")


def fitting_fields():
    """Fields of `FitConfig`."""
    return _list(FitConfig, prefix="fitting.")


def model_fields():
    """Fields of `ModelConfig`."""
    return _list(ModelConfig, prefix="model.")


def commands_pages():
    """The help page of every command."""
    return "\n".join(f"## {name}\n\n```text\n{_help(name).strip()}\n```\n" for name in COMMANDS)


PARTS = {
    "train": train_fields,
    "windows": windows_fields,
    "fitting": fitting_fields,
    "model": model_fields,
    "commands": commands_pages,
}


def _list(config_type, chosen=lambda field: True, prefix=""):
    outer = "--model." if prefix == "model." else "--"
    flags = [flag for flag in find_flags(config_type) if chosen(flag.field)]
    return "\n".join(
        f"`{prefix}{flag.field}` (`{flag.spelling.replace('--', outer)}`)\n:   {flag.text}\n" for flag in flags
    )


def _help(name):
    page = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["socialmd-tf", name, "--help"]),
        mock.patch.dict(os.environ, {"COLUMNS": "90"}),
        contextlib.redirect_stdout(page),
        contextlib.suppress(SystemExit),
    ):
        program.main()
    return page.getvalue()
