"""The exception for mistakes that the user can correct."""

_LONGEST_VALUE = 200


class UserError(ValueError):
    """A mistake that the user can correct; the message is one line that states what was expected and what was found.

    Commands print the message without a traceback and exit with status 2. A message that begins with a field in
    backticks, such as "`time_step` must be positive", is about that argument: commands add its flag.
    """


def require(condition: bool, name: str, rule: str, value: object) -> None:
    """Refuse a value that does not meet its rule.

    Args:
        condition: Whether the value meets the rule.
        name: Name of the argument or field.
        rule: The rule, such as "at least 1".
        value: The value.

    Raises:
        UserError: The condition is false.
    """
    if not condition:
        found = repr(value)
        shown = found if len(found) <= _LONGEST_VALUE else f"{found[:_LONGEST_VALUE]}..."
        raise UserError(f"`{name}` must be {rule}. Received: {shown}")
