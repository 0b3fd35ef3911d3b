"""Which parameters Coinbase's public paths take, and in which form (docs.cdp.coinbase.com).

What the exchange is asked has these alone: it knows no others, and each would be asked for anew.
"""

import re
from collections.abc import Mapping

from multidict import MultiDict, MultiMapping

from serving.coinbase.errors import invalid

LONGEST_TIME = 10  # digits of a time in seconds
WHOLE = re.compile("[0-9]{1,9}")
SECONDS = re.compile(f"[0-9]{{1,{LONGEST_TIME}}}")
DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
WORD = re.compile("[A-Z0-9_]{1,60}")
FLAG = re.compile("true|false|True|False|TRUE|FALSE|[01tfTF]")
PRODUCT = re.compile("[A-Za-z0-9._-]{1,60}")
CURSOR = re.compile("[A-Za-z0-9+/=_-]{1,200}")
MANY = "product_ids"  # the only one that may come several times

Forms = Mapping[str, re.Pattern[str]]
OF_PRODUCTS: Forms = {
    "limit": WHOLE,
    "offset": WHOLE,
    "product_type": WORD,
    MANY: PRODUCT,
    "contract_expiry_type": WORD,
    "expiring_contract_status": WORD,
    "futures_underlying_type": WORD,
    "get_tradability_status": FLAG,
    "get_all_products": FLAG,
    "products_sort_order": WORD,
    "cursor": CURSOR,
}
OF_PRODUCT: Forms = {"get_tradability_status": FLAG}
OF_TICKER: Forms = {"limit": re.compile("1000|[0-9]{1,3}"), "start": SECONDS, "end": SECONDS}
OF_BOOK: Forms = {"product_id": PRODUCT, "limit": WHOLE, "aggregation_price_increment": DECIMAL}


def read(query: MultiMapping[str], forms: Forms) -> MultiDict[str]:
    """Return the parameters that a path takes. Raises Refused for one in another form."""
    found: MultiDict[str] = MultiDict()
    for name, form in forms.items():
        sent = [each for each in query.getall(name, []) if each]
        for value in dict.fromkeys(sent) if name == MANY else sent[:1]:
            if not form.fullmatch(value):
                raise invalid(f"{name} argument is invalid")
            found.add(name, value)
    return found


def number(query: MultiMapping[str], name: str) -> int:
    """Return a whole number that has to be there. Raises Refused."""
    text = query.get(name, "")
    if not SECONDS.fullmatch(text):
        raise invalid(f"{name} is required and must be a whole number")
    return int(text)
