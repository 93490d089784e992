"""Numbers for messages: with spaces between thousands, with their nouns, and with their units."""


def count(number: int) -> str:
    """A whole number with spaces between thousands."""
    return f"{number:,}".replace(",", " ")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, such as "1 file" or "2 000 files".

    Args:
        number: How many.
        noun: The noun in the singular.
        plural: Its plural; with an s by default.
    """
    return f"{count(number)} {noun if number == 1 else plural or f'{noun}s'}"


def unit_suffix(unit: str) -> str:
    """What follows a number in a unit: a space and the unit, or nothing where "1" says that there is none."""
    return "" if unit == "1" else f" {unit}"
