"""A key that Coinbase refuses: now and then, always, or together with everything else."""

import re

import pytest
from django.contrib.auth import get_user_model

from exchanges.accounts import save_account
from exchanges.errors import BadCredentials
from exchanges.models import Exchange, UserExchange
from exchanges.venues.coinbase import key as key_module
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.coinbase.test_signing import EC, ID, NAME, pem
from tests.exchanges.venues.conftest import NOW_MS, ROOMY, values

TIME = (200, {}, b'{"epochMillis":"1712224800000"}')
REFUSED = (401, {}, b"Unauthorized")
SECRET = pem(EC)
OPEN, SIGNED = "/api/v3/brokerage/market/products", "/api/v3/brokerage/products"


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """Forget how keys were taken before."""
    monkeypatch.setattr(key_module, "_STATES", {})


@pytest.fixture
def keyed(row, monkeypatch):
    """Return a row that leads to a server, with an account whose variables are set."""

    def keyed(server):
        exchange = row("coinbase", server)
        monkeypatch.setenv("COINBASE_MY_KEY", NAME)
        monkeypatch.setenv("COINBASE_MY_SECRET", SECRET)
        user = get_user_model().objects.create(username=f"someone-{exchange.pk}")
        names = {"api_key_env": "COINBASE_MY_KEY", "api_secret_env": "COINBASE_MY_SECRET"}
        account = UserExchange(user=user, exchange=exchange, display_name="mine", **names)
        Exchange.objects.filter(pk=exchange.pk).update(account=save_account(account))
        exchange.symbols.create(symbol="A-B", native_symbol="A-B", base="A", quote="B")
        return exchange

    return keyed


def calls(wire):
    """Return the calls for products: `signed` or `open`, and the token."""
    found = []
    for path, headers in wire.seen:
        token = headers.get("Authorization")
        if path.startswith((OPEN, SIGNED)):
            assert bool(token) is path.startswith(SIGNED)
            found.append(token or "open")
    return found


def count(wire):
    found = calls(wire)
    return len(found) - found.count("open"), found.count("open")


def ask(rest):
    return rest._page_of_products(0)


PRODUCTS = (200, {}, b'{"products":[]}')


def script(wire, text, rest=None):
    """Let the exchange refuse (`-`) or answer (`+`) one call after another, the last for ever.

    Where `rest` is given that one asks for the time first, and does not for five minutes then.
    """
    wire.answer(TIME, *(REFUSED if each == "-" else PRODUCTS for each in text))
    if rest:
        rest.clock.now_ms()
    else:
        wire.replies.popleft()


def test_a_token_that_is_refused_once_is_replaced_by_a_fresh_one(keyed, adapters, wire, caplog):
    script(wire, "-+")
    assert ask(adapters(keyed(wire))) == []
    first, second = calls(wire)
    assert first != second
    assert "open" not in (first, second)
    assert caplog.messages == []


def test_a_key_that_is_refused_twice_is_left_out(keyed, adapters, wire, caplog):
    script(wire, "--+")
    assert ask(adapters(keyed(wire))) == []
    assert count(wire) == (2, 1)
    [warning] = caplog.messages
    assert warning.startswith(f"coinbase.key_refused host={wire.host} ")
    assert "COINBASE_MY_KEY" in warning
    assert "COINBASE_MY_SECRET" in warning
    assert NAME not in warning


def test_a_key_that_is_always_refused_costs_two_calls_in_a_process(keyed, adapters, wire, caplog):
    script(wire, "--+")
    exchange = keyed(wire)
    for _ in range(3):
        rest = adapters(exchange)
        for _ in range(3):
            ask(rest)
    assert count(wire) == (2, 9)
    assert len(caplog.messages) == 1


def test_a_key_that_was_taken_is_believed_until_it_is_refused_again_and_again(
    keyed, adapters, wire, caplog
):
    rest = adapters(keyed(wire))
    script(wire, "+" + "--+" * 2 + "+" + "--+" * 3, rest)
    for _ in range(7):
        ask(rest)
    assert count(wire) == (2 + 5 * 2, 5)
    assert len(caplog.messages) == 1
    ask(rest)
    assert count(wire) == (2 + 5 * 2, 6)


def test_a_refused_key_is_tried_again_after_a_while_and_nothing_is_said(
    keyed, adapters, wire, caplog, monkeypatch
):
    rest = adapters(keyed(wire))
    script(wire, "--+--+", rest)
    ask(rest)
    monkeypatch.setattr(key_module, "REFUSED_SECONDS", 0)
    ask(rest)
    assert count(wire) == (4, 2)
    assert len(caplog.messages) == 1


def test_two_keys_are_judged_apart(keyed, adapters, wire, monkeypatch):
    exchange = keyed(wire)
    script(wire, "--+")
    ask(adapters(exchange))
    monkeypatch.setenv("COINBASE_MY_KEY", ID)
    ask(adapters(exchange))
    assert count(wire) == (3, 1)


def test_where_nothing_is_answered_the_error_names_variables_and_the_clocks_difference(
    keyed, adapters, start
):
    server = start()
    rest = adapters(keyed(server))
    server.faults.add("skew_ms", ms=-90_000)
    server.faults.add("status", status=401, endpoint="products")
    with pytest.raises(BadCredentials, match="does not accept the key: ") as refusal:
        rest.list_symbols()
    text = str(refusal.value)
    assert "COINBASE_MY_KEY" in text
    assert "COINBASE_MY_SECRET" in text
    assert re.search(r"this machine's clock is (89|90|91)\.\d s ahead of the exchange's", text)
    assert "\n" not in text
    assert NAME not in text


@pytest.mark.parametrize("what", ["server_time_ms", "list_symbols"])
def test_where_not_even_the_time_is_told_the_error_names_the_variables(keyed, adapters, wire, what):
    script(wire, "-")
    with pytest.raises(BadCredentials, match=r"COINBASE_MY_KEY.*does not tell its time"):
        getattr(adapters(keyed(wire)), what)()


def test_a_key_without_the_right_to_view_keeps_its_meaning_and_names_the_variables(
    keyed, adapters, wire
):
    wire.answer((403, {}, b'{"error":"PERMISSION_DENIED","message":"Missing required scopes"}'))
    with pytest.raises(BadCredentials, match=r"Missing required scopes.*COINBASE_MY_KEY"):
        ask(adapters(keyed(wire)))
    assert len(wire.seen) == 1


def test_the_time_is_asked_for_without_a_key(keyed, adapters, wire):
    wire.answer(TIME)
    adapters(keyed(wire)).server_time_ms()
    assert "Authorization" not in wire.seen[0][1]


@pytest.mark.parametrize("chance", [0.4, 1.0])
def test_whatever_becomes_of_a_key_candles_come(keyed, adapters, start, chance):
    server = start(start_ms=NOW_MS, speed=0, **ROOMY)
    fault = server.faults.add("refused_key", chance=chance)
    rest = adapters(keyed(server))
    rest._native_symbols["BTC-USD"] = "BTC-USD"
    end_ms = Timeframe.H1.floor(NOW_MS)
    truth = server.market.closed_candles(
        "BTC-USD", Timeframe.H1, end_ms - 3 * Timeframe.H1.ms, end_ms, traded_only=True
    )
    for _ in range(20):
        assert values(rest.get_candles("BTC-USD", "1h", limit=3)) == truth
    assert fault.hits == 2 if chance == 1 else fault.hits > 1


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
@pytest.mark.parametrize("times", [1, 3])
def test_who_proves_nothing_rides_out_a_401_too(row, adapters, sandbox, venue, times):
    fault = sandbox.faults.add("status", status=401, times=times)
    assert len(adapters(row(venue, sandbox)).list_symbols()) > 10
    assert fault.hits == times


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
def test_a_401_that_stays_though_no_key_was_sent_is_told(row, adapters, sandbox, venue):
    sandbox.faults.add("status", status=401)
    with pytest.raises(BadCredentials, match="does not accept the key") as refusal:
        adapters(row(venue, sandbox)).list_symbols()
    assert venue == "binance" or "no key was sent" in str(refusal.value)
