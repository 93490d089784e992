import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from socialmd_tf import __main__ as entry_point
from socialmd_tf import commands

PROMISED = [
    "simulate",
    "simulate_charges",
    "prepare",
    "nanoparticle",
    "check",
    "train",
    "evaluate",
    "compositions",
    "rollout",
    "tune",
    "serve",
    "serving",
]


@pytest.fixture
def call(monkeypatch, capsys):
    """Type a line -> exit status, stdout, stderr."""

    def call(*words, program="/usr/bin/socialmd-tf"):
        monkeypatch.setattr(sys, "argv", [program, *words])
        with pytest.raises(SystemExit) as stop:
            entry_point.start()
        return stop.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_commands_are_listed_with_a_line_each(call, words):
    code, out, error = call(*words)
    assert (code, error) == (0, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines() if line.startswith("  ")]
    assert [name for name, _ in lines] == PROMISED
    assert all(text for _, text in lines)
    assert out.startswith("usage: socialmd-tf COMMAND") and max(map(len, out.splitlines())) <= 100


def test_the_list_names_what_was_typed(call):
    assert call(program="/somewhere/socialmd_tf/__main__.py")[1].startswith("usage: python -m socialmd_tf COMMAND")


def test_the_version_is_printed(call):
    assert call("--version") == (0, f"socialmd-tf {version('socialmd_tf')}\n", "")


@pytest.mark.parametrize("word", ["trian", "--data", "commands", ""])
def test_unknown_commands_are_one_line(call, word):
    code, out, error = call(word)
    assert (code, out) == (2, "") and error.startswith(f"error: unknown command {word!r}") and "train" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", PROMISED)
def test_every_command_explains_itself_by_the_name_that_was_typed(call, name):
    code, out, _ = call(name, "--help")
    assert code == 0 and out.startswith(f"usage: socialmd-tf {name} ")


def test_hyphens_are_underscores(call):
    assert call("simulate-charges", "--help")[1].startswith("usage: socialmd-tf simulate-charges ")


def test_a_command_runs_with_its_flags_and_its_exit_status(call, tmp_path):
    code, _, error = call("serving", "--saved-models", str(tmp_path))
    assert code == 2 and error.startswith("error: ") and str(tmp_path) in error


@pytest.mark.parametrize("name", PROMISED)
def test_modules_of_the_commands_stay(name):
    path = Path(commands.__file__).parent
    assert (path / f"{name}.py").exists() or (path / name / "__main__.py").exists()
    module = importlib.import_module(entry_point._MODULES.get(name, f"socialmd_tf.{name}"))
    assert callable(module.main)


def test_the_list_is_fast_and_needs_no_tensorflow():
    script = (
        "import sys, time; start = time.perf_counter()\n"
        "from socialmd_tf.__main__ import overview; overview('x')\n"
        "print(time.perf_counter() - start)\n"
        "assert not {'tensorflow', 'keras', 'numpy', 'scipy'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    print(f"the list of commands takes {float(result.stdout):.3f} s")
    assert float(result.stdout) < 3


def test_the_console_command_is_declared():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"]["socialmd-tf"].partition(":")
    assert getattr(importlib.import_module(module), function) is entry_point.start
