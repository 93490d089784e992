"""Numbers and units for readers: no more decimals than are useful."""

import math

_MOST_DECIMALS = 6
_COLUMN_DECIMALS = 5
_LARGE = 1e7
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_number(value):
    """Whether the value is a finite number; it may be None."""
    return value is not None and math.isfinite(value)


def decimals_for(values):
    """Decimals for a column: three significant digits of its median value by size."""
    sizes = sorted(abs(value) for value in values if is_number(value) and value)
    return min(max(0, 2 - math.floor(math.log10(sizes[len(sizes) // 2]))), _COLUMN_DECIMALS) if sizes else 2


def number(value, decimals, sign=""):
    """A number with these decimals, or more to show three significant digits.

    Beyond 6 decimals, and from 10 million on, with an exponent.
    """
    if not is_number(value):
        return "n/a"
    needed = 2 - math.floor(math.log10(abs(value))) if value else 0
    return (
        f"{value:{sign}.2e}"
        if needed > _MOST_DECIMALS or abs(value) >= _LARGE
        else f"{value:{sign}.{max(decimals, needed)}f}"
    )


def error_of(text, error):
    """A standard error with the decimals of the number before it, or more if it would be shown as zero."""
    decimals = len(text.partition(".")[2]) if "e" not in text else 0
    rounded = f"{error:.{decimals}f}"
    return rounded if float(rounded) or not error else number(error, decimals)


def with_error(value, error, decimals):
    """A number and its standard error, if there is one."""
    text = number(value, decimals)
    return f"{text} ± {error_of(text, error)}" if is_number(error) else text


def percent(share):
    """A share from 0 to 1 in percent."""
    return f"{100 * share:.1f} %" if is_number(share) else "n/a"


def with_unit(name, unit):
    """The name of a length with its unit; "1" means dimensionless."""
    return name if unit == "1" else f"{name} ({unit})"


def power_of_unit(unit, power):
    """A power of a unit of length, such as nm²; "1" means dimensionless."""
    if unit == "1" or power == 0:
        return "1"
    return unit if power == 1 else unit + str(power).translate(_SUPERSCRIPTS)


def readable_time(largest, unit):
    """Factor and unit for times up to `largest`: picoseconds become nanoseconds from 1000 on."""
    return (1e-3, "ns") if unit == "ps" and largest >= 1000 else (1.0, unit)
