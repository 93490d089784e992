"""Numbers for people: as many decimals as they are worth."""

import math

_MOST_DECIMALS = 6


def is_number(value):
    """Whether there is a finite number."""
    return value is not None and math.isfinite(value)


def decimals_for(values):
    """Decimals that give the middle one of the values, by size, three significant digits."""
    sizes = sorted(abs(value) for value in values if is_number(value) and value)
    return min(max(0, 2 - math.floor(math.log10(sizes[len(sizes) // 2]))), _MOST_DECIMALS) if sizes else 2


def number(value, decimals, sign=""):
    """A number with these decimals, or with as many as give two significant digits; with a power of ten beyond 6."""
    if not is_number(value):
        return "n/a"
    needed = 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:{sign}.1e}" if needed > _MOST_DECIMALS else f"{value:{sign}.{max(decimals, needed)}f}"


def error_of(text, error):
    """A standard error to stand behind a number's text, with as many decimals unless that would be zero."""
    decimals = len(text.partition(".")[2]) if "e" not in text else 0
    rounded = f"{error:.{decimals}f}"
    return rounded if float(rounded) or not error else number(error, decimals)


def with_error(value, error, decimals):
    """A number and its standard error, where there is one."""
    text = number(value, decimals)
    return f"{text} ± {error_of(text, error)}" if is_number(error) else text
