"""Amounts of money as integers of a currency's smallest unit (ISO 4217)."""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from appliance.currencies import MINOR_DIGITS

_CODE = re.compile(r"[A-Z]{3}", re.ASCII)
_LARGEST = 10**15


def minor_units(amount: str | float, currency: str) -> int:
    """An amount in minor units, rounded half up. Raises ValueError with what is wrong."""
    if not _CODE.fullmatch(currency):
        raise ValueError(f"currency {currency!r} is not a code of three letters")
    try:
        value = Decimal(str(amount).strip())
        minor = int((value.scaleb(MINOR_DIGITS.get(currency, 2))).to_integral_value(ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(f"amount {amount!r} is not a number") from None
    if abs(minor) > _LARGEST:
        raise ValueError(f"amount {amount!r} is too large")
    return minor
