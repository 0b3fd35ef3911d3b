"""A venue with a protocol that nobody speaks: what a folder needs, and no more."""

from exchanges.rest.pacing.budget import CallLimit
from exchanges.rest.response_limits import ResponseLimits
from exchanges.venue import Preset, Venue
from tests.exchanges.venues.toy.rest import ToyRest, is_own_error, read_error
from tests.exchanges.venues.toy.stream import ToyStream
from tests.exchanges.venues.toy.symbols import read_listing

VENUE = Venue(
    name="toy",
    label="Toy",
    rest=ToyRest,
    stream=ToyStream,
    read_listing=read_listing,
    read_error=read_error,
    is_own_error=is_own_error,
    calls=CallLimit(200, per_seconds=1, is_published=False),
    seen_live=False,
    answers=ResponseLimits(megabytes=10),
    presets=(
        Preset(
            name="toy_shop",
            display_name="Toy Shop",
            rest_url="https://toys.example.com",
            ws_url="wss://toys.example.com",
            pacing="batch",
            default_symbols=("BTC-USD", "ETH-USD"),
        ),
    ),
)
