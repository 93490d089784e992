"""The optional libraries of an extra of the package, for messages: pip finds them wherever the package came from."""

import importlib.metadata


def install_command(extra: str) -> str:
    """The `pip install` command for the libraries of an extra, with the versions that pyproject.toml states.

    Args:
        extra: Name of the extra, such as "md".
    """
    requirements = importlib.metadata.requires("socialmd_tf") or []
    wanted = [text.partition(";")[0].strip() for text in requirements if f'extra == "{extra}"' in text]
    return " ".join(["pip install", *(f"'{requirement}'" for requirement in wanted)])
