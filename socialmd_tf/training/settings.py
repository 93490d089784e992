"""Settings compared: which one of a saved configuration differs from the present one."""

from pathlib import Path

_PATHS = ("initial_weights", "initial_model")


def difference(saved, settings, may_differ):
    """The first setting that differs, in words, or None.

    Args:
        saved: Dictionary of the saved settings.
        settings: Dictionary of the present ones; relative and absolute paths of one directory are equal.
        may_differ: Names that are not compared.
    """
    for key in dict.fromkeys([*settings, *saved]):
        here, there = settings.get(key), saved.get(key)
        if key in _PATHS and here and there:
            here, there = str(Path(here).resolve()), str(Path(there).resolve())
        if key not in may_differ and here != there:
            if isinstance(here, dict) or isinstance(there, dict):
                return f"`{key}` is not the same there as here"
            return f"`{key}` is {there!r} there and {here!r} here"
    return None


def flatten(settings, prefix=""):
    """Nested dictionaries -> one with dotted keys."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
