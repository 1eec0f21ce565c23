"""How numbers are written for people: one way in the terminal, the page and the notebook.

=================  ==========================================================================
what               how
=================  ==========================================================================
counts             every digit, thousands apart: ``34,000``
below 0.001        three significant digits and an exponent: ``4.12e-4``
below 1            three significant digits: ``0.0412``, ``0.412``
below 1,000,000    four significant digits, and no digit before the point is lost: ``1.234``,
                   ``123.4``, ``12,346``
from 1,000,000 on  three significant digits and an exponent: ``1.23e6``
not finite         ``NaN``, ``inf``, ``-inf``
nothing            an empty text
=================  ==========================================================================

Files keep every digit.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

SMALLEST_PLAIN = -3
"""The power of ten from which on numbers have no exponent."""

LARGEST_PLAIN = 5
"""The power of ten up to which numbers have no exponent."""

MOST_DECIMALS = 6
"""Decimals of an estimate."""

MOST_WHOLE = 1e9
"""Whole numbers below are written with every digit."""

UNITS = ("KiB", "MiB", "GiB", "TiB")


def number(value: Any) -> str:
    """Write a number with three or four significant digits.

    Parameters
    ----------
    value
        A number; counts (``int``) keep every digit. None is an empty text, a text stays as it is:
        files say ``"nan"`` and ``"inf"`` so.

    Returns
    -------
    str
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if not isinstance(value, Real):
        return _not_finite(value) if isinstance(value, str) else str(value)
    found = float(value)
    if not math.isfinite(found):
        return _not_finite(str(found))
    if found == 0:
        return "0"
    digits = 4 if abs(found) >= 1 else 3
    power = _power(found, digits)
    if SMALLEST_PLAIN <= power <= LARGEST_PLAIN:
        # 0.99996 has become 1.00 by rounding: it is written as other numbers from 1 on are.
        digits = 4 if power >= 0 else 3
        return f"{found:,.{max(digits - 1 - power, 0)}f}"
    mantissa, _, exponent = f"{found:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def measured(value: float) -> str:
    """Write a number that was measured, or given as a target: as :func:`number`, whole ones whole.

    A class is 1, not 1.000, also where files have it as a floating number.
    """
    whole = abs(value) < MOST_WHOLE and value == int(value)
    return number(int(value) if whole else value)


def signed(value: Any) -> str:
    """Write a number with its sign: ``+2.500``; zero and what is not finite have none of plus."""
    text = number(value)
    positive = isinstance(value, Real) and 0 < float(value) < math.inf
    return f"+{text}" if positive and not isinstance(value, bool) else text


def setting(value: Any) -> str:
    """Write a number that somebody has chosen: as :func:`number`, without zeros at its end."""
    text = number(value)
    if isinstance(value, Integral) or not isinstance(value, Real):
        return text
    mantissa, separator, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}{separator}{exponent}"


def percent(share: Any) -> str:
    """Write a share of one in percent; ``0 %`` and ``100 %`` are none and all, not nearly so."""
    if not isinstance(share, Real) or not math.isfinite(share):
        return number(share)
    hundredths = 100 * float(share)
    if hundredths in (0, 100):
        return f"{hundredths:.0f} %"
    if abs(hundredths) < 0.05:
        return "< 0.1 %" if hundredths > 0 else "> -0.1 %"
    if 99.95 <= hundredths < 100:
        return "> 99.9 %"
    return f"{hundredths:,.1f} %"


def interval(low: Any, high: Any) -> str:
    """Write an interval: ``[0.350, 0.470]``."""
    return f"[{number(low)}, {number(high)}]"


def estimate(value: Any, standard_error: Any) -> str:
    """Write an estimate with two digits of its standard error: ``0.4123 ± 0.0045``."""
    known = all(isinstance(one, Real) and math.isfinite(one) for one in (value, standard_error))
    if not known or not float(standard_error):
        return f"{number(value)} ± {number(standard_error)}"
    decimals = min(max(1 - _power(float(standard_error), 2), 0), MOST_DECIMALS)
    return f"{float(value):,.{decimals}f} ± {float(standard_error):,.{decimals}f}"


def seconds(duration: Any) -> str:
    """Write a duration: ``42 ms``, ``1.25 s``, ``2 min 05 s``, ``3 h 20 min``."""
    if not isinstance(duration, Real) or not math.isfinite(duration):
        return number(duration)
    found = float(duration)
    if found < 0.001:
        return "0 s" if found == 0 else "< 1 ms"
    if round(found, 3) < 0.1:
        return f"{1000 * found:.0f} ms"
    if round(found, 2) < 10:
        return f"{found:.2f} s"
    if round(found, 1) < 60:
        return f"{found:.1f} s"
    if round(found) < 3600:
        return f"{round(found) // 60} min {round(found) % 60:02} s"
    minutes = round(found / 60)
    return f"{minutes // 60:,} h {minutes % 60:02} min"


def bytes_(count: Any) -> str:
    """Write an amount of memory: ``512 bytes``, ``1.50 KiB``, ``203 MiB``, ``1,024 TiB``."""
    if not isinstance(count, Real) or not math.isfinite(count):
        return number(count)
    amount = float(count)
    if amount < 1024:
        return counted(int(amount), "byte")
    for unit in UNITS:
        amount /= 1024
        if amount < 999.5 or unit == UNITS[-1]:
            break
    power = _power(amount, 3)
    return f"{amount:,.{min(max(2 - power, 0), 2)}f} {unit}"


def counted(count: int, what: str, several: str | None = None) -> str:
    """Write how many there are: ``1 query``, ``1,200 queries``.

    Parameters
    ----------
    count
        How many.
    what
        What one of them is called.
    several
        What several are called; ``what`` with an "s" when None.
    """
    return f"{count:,} {what if count == 1 else several or what + 's'}"


def _power(value: float, digits: int) -> int:
    """Return the power of ten of a number's first digit, once it is rounded."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _not_finite(text: str) -> str:
    return "NaN" if text == "nan" else text
