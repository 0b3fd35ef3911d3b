"""The protocols that a sandbox speaks; a new one is a folder beside this file and a line here."""

from importlib import import_module

from exchanges.sandbox.protocol import Protocol

FOLDERS = (
    "binance",
    "binance_usdm",
    "bybit",
    "coinbase",
    "kraken",
    "okx",
)
PROTOCOLS: tuple[Protocol, ...] = tuple(
    import_module(f"exchanges.sandbox.{folder}").PROTOCOL for folder in FOLDERS
)
