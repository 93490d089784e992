"""Numbers for people: as many decimals as they are worth."""

import math


def is_number(value):
    """Whether there is a finite number."""
    return value is not None and math.isfinite(value)


def decimals_for(values):
    """Decimals that give the middle one of the values, by size, three significant digits; 6 at most."""
    sizes = sorted(abs(value) for value in values if is_number(value) and value)
    return min(max(0, 2 - math.floor(math.log10(sizes[len(sizes) // 2]))), 6) if sizes else 2


def number(value, decimals, sign=""):
    """A number with these decimals; two significant digits where that would be zero and the number is not."""
    if not is_number(value):
        return "n/a"
    return f"{value:{sign}.{decimals}f}" if not value or abs(value) >= 0.5 * 10**-decimals else f"{value:{sign}.1e}"


def with_error(value, error, decimals):
    """A number and its standard error, where there is one."""
    text = number(value, decimals)
    return f"{text} ± {number(error, decimals)}" if is_number(error) else text
