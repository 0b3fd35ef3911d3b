"""Whatever a listing, a command, a control stream, a reply or a frame says, nothing ends for it,
nothing is written outside of the keys of what is monitored, no page takes it for markup, and what
was refused is counted.

Names hold wildcards, markup, line ends, paths, other alphabets and 100 letters; frames come with
times in other units, in the wrong types, nested 50,000 deep and 10 MB long, from a relay between
the runner and the sandbox. Meanwhile the candles of the other symbols stay true.
`tests/exchanges/symbols/test_listing.py`, `tests/exchanges/venues/binance/test_stream.py` and
`tests/exchanges/venues/coinbase/test_stream.py` show parts of it in every run of the tests.
"""

from contextlib import closing

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from exchanges.adapters import ExchangeAdapterFactory
from exchanges.errors import BadPayload
from exchanges.lock.control_client import ControlClient
from exchanges.models import Exchange
from exchanges.rest.pacing.host import host_of
from exchanges.sandbox.faults.rows import BAD_ROWS
from exchanges.sandbox.market.listings import Listing
from exchanges.symbols.fetch_listing import fetch_listing
from livermore.market import keys
from livermore.market.timeframe import LONGEST_FIRST
from tests.exchanges.rest.test_client import Server
from tests.experiments.interference import payloads
from tests.experiments.interference.relay import relayed
from tests.experiments.outcome import Outcome, faults_of
from tests.experiments.watching.claims import Claims
from tests.warmup.runners import (
    MINUTE_MS,
    SYMBOLS,
    Comparison,
    chosen,
    hurry,
    make_row,
    processes,
    running,
    serve,
    wait_until,
)
from warmup.service import SmartWarmupService

QUICK = {"venues": ["sandbox"], "typed": 1}
VENUES = ("sandbox", "coinbase")
SERVED = [name for name in payloads.NAMES if "%" not in name]  # which the sandbox can't write
SECONDS_FOR_FRAMES, SECONDS_FOR_REPLY = 60, 20
TYPED = [
    ["warmup", "sandbox", "--symbols", "<script>,*,BTC-USD:1m"],
    ["warmup", "*"],
    ["backfill", "sandbox", "--symbols", "A\r\nSET X 1\r\n-USD"],
    ["repair", "sandbox", "--timeframes", "*"],
    ["symbols", "sandbox", "--monitor", "../../ETC/PASSWD-USD"],
    ["stream", "sandbox", "--symbols", "币安\u202e-USD", "--seconds", "1"],
]


def run(redis, folder, venues=VENUES, typed=6):
    numbers = {"names": len(payloads.NAMES) + len(payloads.UNUSABLE)}
    faults = faults_of("listing", faults_of_listings, numbers)
    for name in venues:
        redis.flushall()
        faults += faults_of(f"live, {name}", faults_of_live, redis, name, numbers)
        redis.flushall()
        faults += faults_of(f"replies, {name}", faults_of_replies, redis, name, numbers)
    faults += faults_of("command line", faults_of_typing, redis, TYPED[:typed], numbers)
    return Outcome(
        f"Listings with {numbers['names']} such names and {numbers['rows of wrong types']} rows of "
        f"wrong types; runners of {' and '.join(venues)} with these names monitored, with frames "
        "added to their streams, commands sent and entries written into their control streams; "
        f"warmups with {len(BAD_ROWS)} ways of spoiling a row; and command lines.",
        numbers,
        faults,
    )


def faults_of_listings(numbers):
    """Yield what a listing brought into the database that can't be a symbol."""
    with Server() as server:
        try:
            values = {"venue": "binance", "rest_url": server.url, "batch_delay_ms": 0}
            row = Exchange.objects.create(name="hostile", display_name="Hostile", **values)
            usable, odd = payloads.listings(SYMBOLS)
            server.answer((200, {}, usable))
            fetch_listing(row)
            found = set(row.symbols.values_list("symbol", flat=True))
            if found != {*SYMBOLS, *payloads.NAMES}:
                yield f"it brought {sorted(found ^ {*SYMBOLS, *payloads.NAMES})}"
            refused = 0
            for listing in odd:
                server.answer((200, {}, listing))
                try:
                    fetch_listing(row)
                except BadPayload:
                    refused += 1
            names = row.symbols.exclude(status="delisted").values_list("symbol", flat=True)
            if more := set(names) - {*SYMBOLS, *payloads.NAMES, payloads.ODD}:
                yield f"rows of wrong types brought {sorted(more)}"
            numbers |= {"rows of wrong types": len(odd), "listings refused as a whole": refused}
        finally:
            server.shutdown()


def faults_of_live(redis, name, numbers):
    """Run an exchange among what means harm; yield what it did wrong."""
    served = [Listing(symbol, "12.3400") for symbol in SERVED]
    with serve(speed=60, listings=(*chosen(SYMBOLS), *served)) as sandbox:
        row = make_row(sandbox, name, [*SYMBOLS, *SERVED])
        frames = payloads.frames(row.venue, sandbox.clock.now_ms(), SERVED)
        with relayed(sandbox, frames) as relay, pytest.MonkeyPatch.context() as patch:
            hurry(patch)
            row.ws_url = relay.url
            row.save()
            truth = Comparison(redis, sandbox, row)
            with running(redis, row, [*SYMBOLS, *SERVED]) as one:
                truth.wait(sandbox.clock.now_ms())
                live_ms = sandbox.clock.now_ms()
                yield from faults_of_orders(redis, row, name, numbers)
                wait_until(lambda: relay.done or one.ended, SECONDS_FOR_FRAMES)
                truth.wait(sandbox.clock.now_ms() + MINUTE_MS)
                yield from truth.faults(since_ms=live_ms)
                measured = one.runner.measured()
    refused, unusable = sum(measured["refused"].values()), sum(each.is_counted for each in frames)
    numbers |= {
        f"frames added, {name}": len(relay.sent),
        f"of these nobody can use, {name}": unusable,
        f"frames counted as refused, {name}": refused,
        f"connections that ended meanwhile, {name}": measured["reconnects"],
    }
    if refused != unusable:
        yield f"of {unusable} frames that nobody can use {refused} were counted"
    yield from faults_of_keys(redis, row)
    yield from faults_of_pages(row, name, numbers)


def faults_of_pages(row, name, numbers):
    """Yield the pages of an exchange that show a name's markup as such, or none of it at all."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.create_superuser(f"reader-{name}"))
    shown = 0
    for view, arguments in (
        ("network:page", []),
        ("network:pair", [row.pk, payloads.MARKUP, "1m"]),
        ("admin:exchanges_symbol_changelist", []),
    ):
        text = client.get(reverse(view, args=arguments)).content
        shown += b"ALERT(1)" in text
        if b"<SCRIPT>ALERT" in text:
            yield f"the {view} page shows markup of a name"
    if not shown:
        yield "no page shows the name with markup, so of pages this shows nothing"
    numbers[f"pages that show a name with markup, {name}"] = shown


def faults_of_orders(redis, row, name, numbers):
    """Send commands, and write what is none; yield where no answer came."""
    for entry in payloads.entries():
        redis.xadd(keys.control(row.pk), entry)
    client, answers = ControlClient(redis, row.pk), {True: 0, False: 0}
    for command, arguments in payloads.commands():
        reply = client.wait(client.send(command, **arguments), SECONDS_FOR_REPLY)
        answers[reply.ok] += 1
        if reply.error and ("Traceback" in reply.error or "\n" in reply.error):
            yield f"{command} was answered {reply.error!r}"
    numbers |= {
        f"commands refused, {name}": answers[False],
        f"commands done, {name}": answers[True],
    }


def faults_of_replies(redis, name, numbers):
    """Warm up from replies with spoiled rows; yield what was claimed and is not true."""
    refused = 0
    with serve(speed=0) as sandbox:
        row = make_row(sandbox, name)
        for way in BAD_ROWS:
            redis.flushall()
            sandbox.faults.replace([{"kind": "bad_rows", "way": way}])
            with closing(ExchangeAdapterFactory(redis).rest(row)) as rest:
                service = SmartWarmupService(redis, row.pk, rest)
                service.warmup(SYMBOLS)
            refused += service.stats.refused
            claims = Claims(redis, sandbox, row)
            claims.look()
            yield from (f"{way}: {text}" for text in claims.false)
    numbers[f"candles of replies refused, {name}"] = refused


def faults_of_typing(redis, typed, numbers):
    """Yield what a command line was answered other than with one line and status 2."""
    with serve(speed=0) as sandbox, processes() as manage:
        make_row(sandbox)
        before, refused = set(redis.scan_iter()), 0
        for words in typed:
            process = manage(*words)
            _, said = process.communicate(timeout=60)
            if process.returncode == 2 and "Traceback" not in said and said.count("\n") == 1:
                refused += 1
            else:
                yield f"{words} ended with {process.returncode} and said {said}"
        if written := set(redis.scan_iter()) - before:
            yield f"something was written: {sorted(written)}"
    numbers["command lines refused"] = refused


def faults_of_keys(redis, row):
    """Yield keys that are none of the contract's for what is monitored."""
    of_pair = (keys.candles, keys.live_candle, keys.coverage, keys.indicator)
    of_exchange = (
        keys.warmup_schedule, keys.warmup_stats, keys.lock, keys.epoch, keys.status, keys.events,
        keys.control, keys.told, keys.unconfirmed, keys.commands, keys.trouble, keys.volumes,
        keys.server,
    )  # fmt: skip
    symbols = set(row.symbols.values_list("symbol", flat=True))
    allowed = {name(row.pk) for name in of_exchange}
    allowed |= {keys.ticker(row.pk, symbol) for symbol in symbols}
    allowed |= {
        name(row.pk, symbol, timeframe)
        for name in of_pair
        for symbol in symbols
        for timeframe in LONGEST_FIRST
    }
    allowed |= {keys.pacing(host_of(row.rest_url)), keys.installation(), keys.exchanges()}
    found = {key.decode() for key in redis.scan_iter()}
    yield from (f"the key {key!r} is none of the contract's" for key in sorted(found - allowed))
