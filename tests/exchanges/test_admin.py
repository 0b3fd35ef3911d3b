import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from redis import RedisError

from exchanges import adapters
from exchanges.accounts import save_account
from exchanges.errors import Unreachable
from exchanges.models import Exchange, Symbol, UserExchange
from exchanges.symbols.listed import ListedSymbol

pytestmark = pytest.mark.django_db

SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


class Listing:
    """Stands for an exchange's REST side; `answer` is its listing, or what it raises."""

    def __init__(self, answer):
        self.answer = answer
        self.is_closed = False

    def list_symbols(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        self.is_closed = True


@pytest.fixture
def exchange():
    return Exchange.objects.get(name="sandbox")


@pytest.fixture
def page(admin_client):
    """Return what the admin shows at a page, by URL name and primary key."""

    def page(name, /, *args, **query):
        response = admin_client.get(reverse(f"admin:exchanges_{name}", args=args), query)
        assert response.status_code == 200
        return response.content.decode()

    return page


@pytest.fixture
def post(admin_client):
    """Send a form and return the page one is led to."""

    def post(name, /, *args, **data):
        url = reverse(f"admin:exchanges_{name}", args=args)
        return admin_client.post(url, data, follow=True).content.decode()

    return post


@pytest.fixture
def act(post):
    """Choose an action for some rows in their list."""

    def act(name, action, rows, **data):
        selected = [row.pk for row in rows]
        return post(f"{name}_changelist", action=action, _selected_action=selected, **data)

    return act


def exchange_form(**values):
    return {
        "name": "mine",
        "display_name": "Mine",
        "venue": "binance",
        "rest_url": "https://api.example.com",
        "ws_url": "wss://stream.example.com",
        "is_active": "on",
        "wanted": "stopped",
        "pacing": "batch",
        "batch_size": "5",
        "batch_delay_ms": "1000",
        **values,
    }


def account_form(user, exchange, **values):
    return {
        "user": user.pk,
        "exchange": exchange.pk,
        "display_name": "Main",
        "is_active": "on",
        **values,
    }


def add_symbols(exchange, count, **values):
    Symbol.objects.bulk_create(
        Symbol(
            exchange=exchange,
            symbol=f"S{number:04}-USD",
            native_symbol=f"S{number:04}USD",
            base=f"S{number:04}",
            quote="USD",
            **values,
        )
        for number in range(count)
    )
    return list(exchange.symbols.order_by("symbol"))


def add_account(user, exchange, name, **values):
    return save_account(UserExchange(user=user, exchange=exchange, display_name=name, **values))


def default_of(user):
    return user.user_exchanges.get(is_default=True).display_name


# -- Exchanges


def test_the_exchanges_are_listed_searched_and_filtered(page, exchange):
    add_symbols(exchange, 3, is_monitored=True)
    text = page("exchange_changelist")
    assert "Binance.US" in text
    assert ">3 monitored</a>" in text
    assert "Coinbase" in page("exchange_changelist", q="coinbase")
    assert "api.binance" not in page("exchange_changelist", venue__exact="coinbase")


def test_an_exchange_is_added_and_its_address_tidied(post):
    assert "was added successfully" in post(
        "exchange_add", **exchange_form(rest_url="https://api.example.com/")
    )
    assert Exchange.objects.get(name="mine").rest_url == "https://api.example.com"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rest_url", "http://169.254.169.254", "LIVERMORE_PRIVATE_EXCHANGE_HOSTS"),
        ("rest_url", "http://api.example.com", "use https://"),
        ("ws_url", "https://api.example.com", "must begin with wss://"),
        ("name", "sandbox", "already exists"),
        ("batch_size", "0", "greater than or equal to 1"),
        ("batch_delay_ms", "999999999999", "less than or equal to 60000"),
        ("venue", "nasdaq", "not one of the available choices"),
    ],
)
def test_a_wrong_exchange_is_refused_with_a_line_that_says_why(post, field, value, message):
    before = Exchange.objects.count()
    text = post("exchange_add", **exchange_form(**{field: value}))
    assert "Please correct the error below" in text
    assert message in text
    assert Exchange.objects.count() == before


@pytest.mark.parametrize(
    ("proxy", "kept"),
    [
        ("socks5h://127.0.0.1:1080/", "socks5h://127.0.0.1:1080"),
        ("http://squid:3128", "http://squid:3128"),
        ("LIVERMORE_PROXY_OFFICE", "LIVERMORE_PROXY_OFFICE"),
        ("", ""),
    ],
)
def test_an_exchange_may_have_a_proxy(post, page, proxy, kept):
    assert "was added successfully" in post("exchange_add", **exchange_form(proxy=proxy))
    row = Exchange.objects.get(name="mine")
    assert row.proxy == kept
    assert f'value="{kept}"' in page("exchange_change", row.pk) or not kept


@pytest.mark.parametrize(
    "proxy",
    [f"http://ada:{SECRET}@127.0.0.1:1", SECRET, f"socks5h://{SECRET}@h:1", f"COINBASE_{SECRET}"],
)
def test_a_password_pasted_as_a_proxy_is_refused_and_not_shown_again(post, exchange, proxy):
    text = post("exchange_add", **exchange_form(proxy=proxy))
    assert "Please correct the error below" in text
    assert "LIVERMORE_PROXY_" in text
    assert SECRET not in text
    values = exchange_form(name="sandbox", rest_url=exchange.rest_url, ws_url=exchange.ws_url)
    Exchange.objects.filter(pk=exchange.pk).update(proxy="http://squid:3128")
    text = post("exchange_change", exchange.pk, **values | {"proxy": proxy})
    assert SECRET not in text
    exchange.refresh_from_db()
    assert exchange.proxy == "http://squid:3128"


def test_the_page_of_a_huge_exchange_stays_short(page, exchange, django_assert_max_num_queries):
    add_symbols(exchange, 2000, is_monitored=True)
    with django_assert_max_num_queries(12):
        text = page("exchange_change", exchange.pk)
    assert "S0049-USD" in text
    assert "S0050-USD" not in text
    assert f"?exchange__id__exact={exchange.pk}&amp;is_monitored__exact=1" in text


def test_an_exchange_with_symbols_can_be_changed(post, exchange):
    add_symbols(exchange, 60, is_monitored=True)
    values = exchange_form(
        name="sandbox",
        rest_url=exchange.rest_url,
        ws_url=exchange.ws_url,
        display_name="My sandbox",
        **{"symbols-TOTAL_FORMS": "50", "symbols-INITIAL_FORMS": "50"},
    )
    assert "was changed successfully" in post("exchange_change", exchange.pk, **values)
    exchange.refresh_from_db()
    assert exchange.display_name == "My sandbox"
    assert exchange.symbols.filter(is_monitored=True).count() == 60


def test_an_exchange_with_accounts_is_not_deleted(post, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    text = post("exchange_delete", exchange.pk, post="yes")
    assert "protected" in text
    assert Exchange.objects.filter(pk=exchange.pk).exists()


def test_syncing_takes_the_symbols_from_the_exchange(act, exchange, monkeypatch):
    rest = Listing([ListedSymbol("BTC-USD", "BTCUSD", "BTC", "USD", True)])
    monkeypatch.setattr(adapters, "open_rest", lambda row: rest)
    text = act("exchange", "sync_symbols", [exchange])
    assert "Sandbox: 1 added, 0 changed, 0 delisted, 1 newly monitored." in text
    assert exchange.symbols.get().symbol == "BTC-USD"
    assert rest.is_closed


def test_a_sync_that_fails_says_so_and_the_others_go_on(act, exchange, monkeypatch):
    def open_rest(row):
        if row == exchange:
            return Listing([ListedSymbol("BTC-USD", "BTCUSD", "BTC", "USD", True)])
        return Listing(Unreachable("no answer from <b>api</b>: is it up?"))

    monkeypatch.setattr(adapters, "open_rest", open_rest)
    text = act("exchange", "sync_symbols", Exchange.objects.all())
    assert "Binance.US: no answer from &lt;b&gt;api&lt;/b&gt;: is it up?" in text
    assert "Sandbox: 1 added" in text


def test_a_sync_without_redis_says_so(act, exchange, monkeypatch):
    lost = Listing(RedisError("Error 111 connecting to 127.0.0.1:1."))
    monkeypatch.setattr(adapters, "open_rest", lambda row: lost)
    assert "Redis, which paces requests, does not" in act("exchange", "sync_symbols", [exchange])


# -- Symbols


def test_symbols_are_listed_searched_and_filtered(page, exchange):
    add_symbols(exchange, 3)
    assert "S0002-USD" in page("symbol_changelist")
    assert "S0002-USD" not in page("symbol_changelist", q="S0001")
    assert "S0002-USD" not in page("symbol_changelist", is_monitored__exact=1)
    assert "S0002-USD" in page("symbol_changelist", exchange__id__exact=exchange.pk)


def test_of_a_symbol_only_the_monitoring_can_be_changed(page, post, exchange, admin_client):
    (row,) = add_symbols(exchange, 1)
    assert 'name="is_monitored"' in page("symbol_change", row.pk)
    post("symbol_change", row.pk, is_monitored="on", symbol="EVIL-USD")
    row.refresh_from_db()
    assert (row.symbol, row.is_monitored) == ("S0000-USD", True)
    assert admin_client.get(reverse("admin:exchanges_symbol_add")).status_code == 403


def test_symbols_are_monitored_and_unmonitored(act, exchange):
    rows = add_symbols(exchange, 3)
    assert "2 symbols are monitored now" in act("symbol", "monitor", rows[:2])
    assert exchange.symbols.kept_warm().count() == 2
    assert "1 symbols are not monitored any more" in act("symbol", "unmonitor", rows[1:])
    assert [row.symbol for row in exchange.symbols.kept_warm()] == ["S0000-USD"]


def test_all_symbols_of_a_list_are_monitored_across_its_pages(act, exchange):
    rows = add_symbols(exchange, 500)
    act("symbol", "monitor", rows[:1], select_across="1")
    assert exchange.symbols.kept_warm().count() == 500


def test_delisted_symbols_are_left_out_of_monitoring(act, exchange):
    rows = add_symbols(exchange, 2, status="delisted")
    assert "2 delisted symbols were left out" in act("symbol", "monitor", rows)
    assert not exchange.symbols.filter(is_monitored=True).exists()


# -- Accounts


def test_an_account_shows_which_variables_are_set_and_no_value(
    page, exchange, admin_user, monkeypatch
):
    monkeypatch.setenv("BINANCE_US_KEY", SECRET)
    account = add_account(
        *(admin_user, exchange, "Main"),
        api_key_env="BINANCE_US_KEY",
        api_secret_env="BINANCE_US_SECRET",
    )
    for text in (page("userexchange_changelist"), page("userexchange_change", account.pk)):
        assert "BINANCE_US_KEY: set, BINANCE_US_SECRET: not set" in text
        assert SECRET not in text


def test_accounts_are_searched_and_filtered(page, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    add_account(admin_user, exchange, "Other")
    assert ">Main</a>" in page("userexchange_changelist", q="admin")
    assert ">Main</a>" not in page("userexchange_changelist", q="Other")
    assert ">Main</a>" not in page("userexchange_changelist", is_default__exact=0)


def test_a_first_account_is_added_as_the_default(page, post, exchange, admin_user):
    assert 'name="api_key_env"' in page("userexchange_add")
    text = post("userexchange_add", **account_form(admin_user, exchange))
    assert "it is the only active account" in text
    assert default_of(admin_user) == "Main"


def test_ticking_default_unsets_the_previous_one(post, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    form = account_form(admin_user, exchange, display_name="Second", is_default="on")
    assert "was added successfully" in post("userexchange_add", **form)
    assert default_of(admin_user) == "Second"


def test_a_new_inactive_default_is_refused(post, exchange, admin_user):
    form = account_form(admin_user, exchange, is_default="on")
    del form["is_active"]
    assert "can&#x27;t be the default: activate it first" in post("userexchange_add", **form)
    assert not UserExchange.objects.exists()


def test_unticking_active_on_the_default_is_enough(post, exchange, admin_user):
    account = add_account(admin_user, exchange, "Main")
    add_account(admin_user, exchange, "Second")
    form = account_form(admin_user, exchange, is_default="on")
    del form["is_active"]
    assert "was changed successfully" in post("userexchange_change", account.pk, **form)
    assert default_of(admin_user) == "Second"


def test_a_pasted_secret_is_refused_and_not_shown_again(post, exchange, admin_user):
    form = account_form(admin_user, exchange, api_secret_env=SECRET, api_key_env="BINANCE_KEY")
    text = post("userexchange_add", **form)
    assert "not the name of an environment variable" in text
    assert SECRET not in text
    assert 'value="BINANCE_KEY"' in text
    assert not UserExchange.objects.exists()


def test_a_taken_name_is_refused(post, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    text = post("userexchange_add", **account_form(admin_user, exchange))
    assert "This user has an account of that name at this exchange." in text


@pytest.mark.parametrize("way", ["page", "action"])
def test_deleting_the_default_promotes_the_next(post, act, exchange, admin_user, way):
    account = add_account(admin_user, exchange, "Main")
    add_account(admin_user, exchange, "Second")
    if way == "page":
        post("userexchange_delete", account.pk, post="yes")
    else:
        act("userexchange", "delete_selected", [account], post="yes")
    assert default_of(admin_user) == "Second"
    assert admin_user.user_exchanges.count() == 1


def test_an_account_is_made_the_default(act, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    second = add_account(admin_user, exchange, "Second")
    assert "Second is the default of admin now." in act("userexchange", "make_default", [second])
    assert default_of(admin_user) == "Second"


def test_an_inactive_account_is_not_made_the_default(act, exchange, admin_user):
    add_account(admin_user, exchange, "Main")
    asleep = add_account(admin_user, exchange, "Asleep", is_active=False)
    assert "activate it first" in act("userexchange", "make_default", [asleep])
    assert default_of(admin_user) == "Main"


def test_two_accounts_of_a_user_are_not_both_made_the_default(act, exchange, admin_user):
    accounts = [add_account(admin_user, exchange, name) for name in ("Main", "Second")]
    assert "Nothing was changed" in act("userexchange", "make_default", accounts)
    assert default_of(admin_user) == "Main"


def test_an_account_deleted_meanwhile_is_said_in_a_line(
    admin_client, exchange, admin_user, monkeypatch
):
    account = add_account(admin_user, exchange, "Main")

    def delete_first(saved):
        UserExchange.objects.all().delete()
        return save_account(saved)

    monkeypatch.setattr("exchanges.accounts.save_account", delete_first)
    url = reverse("admin:exchanges_userexchange_change", args=[account.pk])
    response = admin_client.post(url, account_form(admin_user, exchange), follow=True)
    assert "This account was deleted by somebody else." in response.content.decode()


# -- Permissions


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("exchange", "sync_symbols"),
        ("symbol", "monitor"),
        ("symbol", "unmonitor"),
        ("userexchange", "make_default"),
    ],
)
def test_who_may_only_look_is_offered_no_action(
    client, django_user_model, exchange, name, action, monkeypatch
):
    def open_rest(row):
        raise AssertionError("the exchange was asked")

    monkeypatch.setattr(adapters, "open_rest", open_rest)
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(
        Permission.objects.filter(content_type__app_label="exchanges", codename__startswith="view_")
    )
    (symbol,) = add_symbols(exchange, 1, is_monitored=action == "unmonitor")
    first = add_account(viewer, exchange, "Main")
    second = add_account(viewer, exchange, "Second")
    row = {"exchange": exchange, "symbol": symbol, "userexchange": second}[name]
    client.force_login(viewer)
    url = reverse(f"admin:exchanges_{name}_changelist")
    assert f'value="{action}"' not in client.get(url).content.decode()
    client.post(url, {"action": action, "_selected_action": [row.pk]})
    symbol.refresh_from_db()
    assert symbol.is_monitored == (action == "unmonitor")
    assert default_of(viewer) == first.display_name


def test_syncing_needs_the_permissions_on_symbols_too(client, django_user_model):
    keeper = django_user_model.objects.create_user("keeper", is_staff=True)
    keeper.user_permissions.add(Permission.objects.get(codename="change_exchange"))
    client.force_login(keeper)
    url = reverse("admin:exchanges_exchange_changelist")
    assert 'value="sync_symbols"' not in client.get(url).content.decode()
