import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from exchanges.models import Exchange, Symbol, UserExchange

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(django_user_model):
    return django_user_model.objects.create_user("ada")


@pytest.fixture
def exchange():
    return Exchange.objects.create(
        name="somewhere",
        display_name="Somewhere",
        venue="binance",
        rest_url="https://api.example.com/",
        ws_url="wss://stream.example.com/",
    )


def add_symbol(exchange, symbol, native, status="trading", is_monitored=False, **values):
    base, quote = symbol.split("-")
    return exchange.symbols.create(
        symbol=symbol,
        native_symbol=native,
        base=base,
        quote=quote,
        status=status,
        is_monitored=is_monitored,
        **values,
    )


def test_an_unknown_exchange_is_paced_in_batches_of_five_a_second(exchange):
    assert (exchange.pacing, exchange.batch_size, exchange.batch_delay_ms) == ("batch", 5, 1000)


def test_cleaning_takes_the_last_slash_off_the_addresses(exchange):
    exchange.full_clean()
    assert exchange.rest_url == "https://api.example.com"
    assert exchange.ws_url == "wss://stream.example.com"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 51),
        ("batch_delay_ms", -1),
        ("batch_delay_ms", 60_001),
        ("pacing", "fast"),
        ("venue", "nowhere"),
        ("name", "two words"),
        ("rest_url", "http://10.0.0.1"),
        ("ws_url", "https://api.example.com"),
    ],
)
def test_a_wrong_value_is_refused_on_its_field(exchange, field, value):
    setattr(exchange, field, value)
    with pytest.raises(ValidationError) as caught:
        exchange.full_clean()
    assert list(caught.value.message_dict) == [field]


def test_two_exchanges_of_one_name_are_refused(exchange):
    with pytest.raises(IntegrityError), transaction.atomic():
        Exchange.objects.create(name=exchange.name)


def test_an_exchange_with_accounts_is_not_deleted(exchange, user):
    UserExchange.objects.create(user=user, exchange=exchange, display_name="main")
    with pytest.raises(ProtectedError):
        exchange.delete()


def test_the_database_refuses_two_defaults_of_one_user(exchange, user):
    for name in ("one", "two"):
        UserExchange.objects.create(user=user, exchange=exchange, display_name=name)
    with pytest.raises(IntegrityError), transaction.atomic():
        UserExchange.objects.update(is_default=True)


def test_the_database_refuses_an_inactive_default(exchange, user):
    with pytest.raises(IntegrityError), transaction.atomic():
        UserExchange.objects.create(
            user=user, exchange=exchange, display_name="x", is_active=False, is_default=True
        )


def test_an_account_name_is_taken_once_per_user_and_exchange(exchange, user):
    UserExchange.objects.create(user=user, exchange=exchange, display_name="main")
    with pytest.raises(ValidationError, match="account of that name"):
        UserExchange(user=user, exchange=exchange, display_name="main").full_clean()


def test_a_second_default_is_valid_because_saving_unsets_the_first(exchange, user):
    UserExchange.objects.create(user=user, exchange=exchange, display_name="a", is_default=True)
    UserExchange(user=user, exchange=exchange, display_name="b", is_default=True).full_clean()


def test_the_environment_says_what_is_set_and_never_a_value(exchange, user, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", "hunter2")
    monkeypatch.setenv("BINANCE_EMPTY", "")
    account = UserExchange(
        user=user, exchange=exchange, api_key_env="BINANCE_KEY", api_secret_env="BINANCE_EMPTY"
    )
    assert account.environment() == {"BINANCE_KEY": True, "BINANCE_EMPTY": False}


def test_symbols_in_any_alphabet_are_kept(exchange):
    add_symbol(exchange, "币安人生-USDT", "币安人生USDT")
    add_symbol(exchange, "1000SATS-USDT", "1000SATSUSDT")
    assert exchange.symbols.count() == 2


@pytest.mark.parametrize("twin", [("BTC-USD", "OTHER"), ("OTHER-USD", "BTCUSD")])
def test_a_name_is_taken_once_per_exchange(exchange, twin):
    add_symbol(exchange, "BTC-USD", "BTCUSD")
    with pytest.raises(IntegrityError), transaction.atomic():
        add_symbol(exchange, *twin)


def test_watched_are_the_monitored_symbols_that_trade(exchange):
    add_symbol(exchange, "A-USD", "AUSD", is_monitored=True)
    for status in ("halted", "delisted", "renamed"):
        add_symbol(exchange, f"{status}-USD", status, is_monitored=True, status=status)
    add_symbol(exchange, "D-USD", "DUSD")
    assert [row.symbol for row in exchange.symbols.kept_warm()] == ["A-USD"]
    assert Symbol.objects.kept_warm().count() == 1
    assert exchange.symbols.monitored().count() == 4


def test_a_symbol_says_what_became_of_it(exchange):
    old = add_symbol(exchange, "MATIC-USD", "MATICUSD", status="renamed", renamed_to="POL-USD")
    assert old.status_text == "renamed to POL-USD"
    assert add_symbol(exchange, "B-USD", "BUSD", status="halted").status_text == "halted"


@pytest.mark.parametrize("status", ["delisted", "renamed"])
def test_the_native_name_of_what_is_gone_may_be_given_to_another(exchange, status):
    add_symbol(exchange, "OLD-USD", "XUSD", status=status)
    add_symbol(exchange, "NEW-USD", "XUSD")
    assert exchange.symbols.count() == 2


@pytest.mark.parametrize(
    ("name", "address", "end"),
    [
        ("okx", "wss://ws.okx.com:8443/ws/v5/business", "/ws/v5"),
        ("bybit", "wss://stream.bybit.com/v5/public/linear", "/v5/public"),
        ("kraken", "wss://ws.kraken.com", "/v2"),
    ],
)
def test_a_websocket_address_ends_as_its_venue_needs_it(name, address, end):
    exchange = Exchange.objects.get(name=name)
    exchange.full_clean()
    exchange.ws_url = address
    with pytest.raises(ValidationError) as refused:
        exchange.full_clean()
    (text,) = refused.value.message_dict["ws_url"]
    assert text.endswith(f" ends with {end}, as in {Exchange.objects.get(name=name).ws_url}.")


def test_krakens_streams_may_move_to_another_host_and_path():
    exchange = Exchange.objects.get(name="kraken")
    exchange.ws_url = "wss://uws.kraken.com/v2/public/"
    exchange.full_clean()
