"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """Input that the user can mend, said in one line: what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """


def require(condition: bool, name: str, rule: str, value: object) -> None:
    """Refuse a value that breaks its rule.

    Args:
        condition: Whether the value keeps the rule.
        name: Name of the argument or field.
        rule: What it must be, as in "at least 1".
        value: What it is.

    Raises:
        UserError: The condition is false.
    """
    if not condition:
        raise UserError(f"`{name}` must be {rule}. Received: {value!r}")
