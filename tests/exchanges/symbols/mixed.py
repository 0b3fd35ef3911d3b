"""An exchange with a spot market and a perpetual of one name, and a base in small letters."""

import time

import orjson

from exchanges.models import Exchange, Symbol
from exchanges.symbols.listed import PERPETUAL, SPOT
from livermore.market import keys

MIXED = ("BTC-USDT", "BTC-USDT-PERP", "kPEPE-USDT-PERP", "AAPLx-USD")
VOLUMES = {"BTC-USDT": 900.0, "BTC-USDT-PERP": 5000.0, "kPEPE-USDT-PERP": 70.0}


def mixed_exchange(redis, monitored=()):
    """Return its row, with its symbols in the database and their volumes in Redis."""
    row = Exchange.objects.get(name="sandbox")
    for name in MIXED:
        base, quote, *perpetual = name.split("-")
        Symbol.objects.create(
            exchange=row, symbol=name, native_symbol=base + quote, base=base, quote=quote,
            kind=PERPETUAL if perpetual else SPOT, is_monitored=name in monitored,
        )  # fmt: skip
    told = {"at": int(time.time() * 1000), "volumes": VOLUMES}
    redis.set(keys.volumes(row.pk), orjson.dumps(told))
    return row


def monitored(row):
    return set(row.symbols.monitored().values_list("symbol", flat=True))
