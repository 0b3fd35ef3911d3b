"""Numbers as people read them."""

from decimal import Decimal


def plain(number: object) -> str:
    """Return a price or volume with all its digits, 4.1e-07 as 0.00000041."""
    text = repr(number)
    is_number = type(number) in (int, float)  # else somebody else wrote it
    return f"{Decimal(text):f}" if is_number and "e" in text else text
