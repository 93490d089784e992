"""Libraries that are imported only when they are needed."""

import importlib
import importlib.util

from pipelines.errors import UserError


def check_library(name, purpose):
    """Refuse to go on without a library, before it is imported.

    Args:
        name: Its name, for `import` and for pip.
        purpose: What it is needed for, such as "to_ase()".

    Raises:
        UserError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise UserError(f"{purpose} needs {name}, which is not installed; expected: pip install {name}")


def import_library(name, purpose):
    """The module of a library; arguments and errors as `check_library`."""
    check_library(name, purpose)
    return importlib.import_module(name)
