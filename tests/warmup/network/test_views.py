"""The Network page's addresses: who is let in, what is answered with scripts and without."""

from datetime import UTC, datetime

import orjson
import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from exchanges.accounts import save_account
from exchanges.models import Exchange, UserExchange
from livermore.market import keys
from tests.warmup.network.operators import agent, commands, held_by, listed_exchange, live, person

pytestmark = pytest.mark.django_db

RUNNING, STOPPED = Exchange.Wanted.RUNNING, Exchange.Wanted.STOPPED
JSON = "application/json"
ACTIONS = [
    *("connect", "stop", "warmup", "repair", "add-symbols", "remove-symbols", "check"),
]
SECRET = "kEyqW8XhUvN2s7Yz4LrT0mBpD1cJaG6f"


@pytest.fixture
def row(redis):
    return listed_exchange()


@pytest.fixture
def ada():
    return person("ada", "operate_exchange")


@pytest.fixture
def browser(client, ada):
    """Return Ada's browser."""
    client.force_login(ada)
    return client


def url(name, row=None, *arguments):
    return reverse(f"network:{name}", args=[row.pk, *arguments] if row else arguments)


@pytest.fixture
def page(browser):
    """Return the text of an address, and its status."""

    def page(*address, **query):
        response = browser.get(url(*address), query)
        return response.content.decode(), response.status_code

    return page


@pytest.fixture
def script(browser):
    """Send a form as a script does; return the status and the answer."""

    def script(*address, query="", **data):
        response = browser.post(url(*address) + query, data, headers={"Accept": JSON})
        assert response["Content-Type"] == JSON, response.content
        return response.status_code, response.json()

    return script


@pytest.fixture
def form(browser):
    """Send a form as a browser without scripts does; return the page one is led to."""

    def form(*address, query="", **data):
        response = browser.post(url(*address) + query, data, follow=True)
        return response.content.decode(), response.status_code

    return form


def wanted(row):
    row.refresh_from_db()
    return row.wanted


# -- Who is let in


def test_the_addresses_lie_below_the_admin():
    assert url("page") == "/admin/network/"
    for name in ACTIONS:
        assert reverse(f"network:{name}", args=[4]) == f"/admin/network/4/{name}/"
    assert reverse("network:pair", args=[4, "BTC-USD", "1h"]) == (
        "/admin/network/4/pairs/BTC-USD/1h/"
    )


@pytest.mark.parametrize("name", ACTIONS)
def test_nothing_is_changed_by_get(row, browser, name):
    for accept in ("text/html", JSON):
        assert browser.get(url(name, row), headers={"Accept": accept}).status_code == 405
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", [*ACTIONS, "setup"])
def test_who_may_only_look_is_refused(row, client, name):
    client.force_login(person("viewer", "view_exchange"))
    page = client.post(url(name, row), {"display_name": "Mine"})
    assert (page.status_code, "You may not do this" in page.content.decode()) == (403, True)
    answer = client.post(url(name, row), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (403, False)
    assert (wanted(row), LogEntry.objects.count(), UserExchange.objects.count()) == (STOPPED, 0, 0)


def test_who_may_look_sees_the_page_without_its_buttons(row, client):
    client.force_login(person("viewer", "view_exchange"))
    for address in (url("page"), url("pair", row, "BTC-USD", "1h")):
        response = client.get(address)
        assert response.status_code == 200
        assert "formaction" not in response.content.decode()
        assert "data-action" not in response.content.decode()


def test_who_may_operate_sees_the_buttons(row, page):
    text, status = page("page")
    assert (status, url("connect", row) in text) == (200, True)


@pytest.mark.parametrize(
    ("permissions", "values"),
    [((), {}), (("operate_exchange", "view_exchange"), {"is_staff": False})],
    ids=["no permission", "no staff"],
)
def test_others_see_nothing(row, client, permissions, values):
    client.force_login(person("other", *permissions, **values))
    assert client.get(url("page")).status_code in (302, 403)
    assert client.get(url("page"), headers={"Accept": JSON}).status_code == 403
    assert client.post(url("connect", row), headers={"Accept": JSON}).status_code == 403
    assert wanted(row) == STOPPED


def test_strangers_are_sent_to_the_login_and_scripts_are_told(row, client):
    login = reverse("admin:login")
    pair = url("pair", row, "BTC-USD", "1h")
    assert client.get(pair).url == f"{login}?next={pair}"
    assert client.post(url("stop", row)).url == f"{login}?next={url('page')}"
    answer = client.post(url("stop", row), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["text"]) == (
        401,
        "Log in again: the session has ended.",
    )


def test_a_post_without_the_token_is_refused(row, ada):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(url("connect", row)).status_code == 403
    assert wanted(row) == STOPPED
    strict.get(url("page"))
    token = strict.cookies["csrftoken"].value
    strict.post(url("connect", row), {"csrfmiddlewaretoken": token})
    assert wanted(row) == RUNNING


# -- The index


@pytest.mark.parametrize(
    ("permissions", "linked"),
    [(("operate_exchange",), True), (("view_exchange",), True), (("view_symbol",), False)],
)
def test_the_admins_index_leads_to_it(client, permissions, linked):
    client.force_login(person("somebody", *permissions))
    text = client.get(reverse("admin:index")).content.decode()
    assert ('href="/admin/network/"' in text) is linked
    assert "Recent actions" in text


# -- Actions


def test_a_script_gets_a_line(redis, row, script):
    agent(redis)
    status, answer = script("connect", row)
    assert (status, answer) == (
        200,
        {"ok": True, "text": "sandbox shall run: an agent does it within seconds (of-agent-1)."},
    )
    assert wanted(row) == RUNNING


def test_a_browser_without_scripts_is_led_back_with_a_message(redis, row, browser):
    agent(redis)
    response = browser.post(url("connect", row))
    assert (response.status_code, response.url) == (303, "/admin/network/")
    assert "an agent does it within seconds" in browser.get(response.url).content.decode()


def test_what_is_refused_is_said_in_a_line(row, script, form):
    line = "sandbox is stopped already."
    assert script("stop", row) == (400, {"ok": False, "text": line})
    assert "is stopped already." in form("stop", row)[0]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("name", ["stop", "warmup", "repair", "add-symbols", "remove-symbols"])
def test_each_action_is_done_with_its_reason(redis, row, ada, script, name):
    live(redis, row)
    status, answer = script(name, row, symbols="SOL-USD", reason="because")
    assert (status, answer["ok"]) == (200, True)
    assert len(commands(redis, row)) == 1
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(row.pk))
    assert entry.get_change_message().endswith("(because)")


def test_a_repair_from_a_pairs_page_leads_back_there(redis, row, browser):
    live(redis, row)
    response = browser.post(url("repair", row), {"symbol": "BTC-USD", "timeframe": "1h"})
    assert response.url == url("pair", row, "BTC-USD", "1h")
    assert commands(redis, row) == [
        ("repair", {"symbols": ["BTC-USD"], "timeframes": ["1h"]}),
    ]


def test_a_check_shows_each_step(row, script, form):
    row.rest_url = row.ws_url = "http://127.0.0.1:9"
    row.save()
    status, answer = script("check", row)
    assert (status, answer["ok"]) == (200, False)
    assert "steps failed" in answer["text"]
    assert "row and addresses" in answer["html"]
    text, status = form("check", row)
    assert (status, "row and addresses" in text) == (200, True)
    assert '<li class="warning">' in text
    assert LogEntry.objects.count() == 2


# -- Taking over


def test_what_is_held_elsewhere_is_answered_with_its_holder_and_a_form(redis, row, script):
    held_by(redis, row)
    status, answer = script("connect", row)
    assert (status, answer["ok"]) == (409, False)
    assert "sandbox is held by host-1 (10.0.0.9)" in answer["text"]
    for text in ("host-1", "10.0.0.9", "4711", 'name="holder" value="instance-1"'):
        assert text in answer["html"]
    assert "1 min ago" in answer["html"]
    assert "says nothing of itself" in answer["html"]
    assert "<html" not in answer["html"]
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_the_form_says_how_old_the_holders_heartbeat_is(redis, row, script):
    held_by(redis, row, state="active")
    redis.pexpire(keys.status(row.pk), 45_000 - 7_000)
    html = script("connect", row)[1]["html"]
    assert "7 s ago" in html or "8 s ago" in html


def test_without_scripts_the_form_is_a_page_of_its_own(redis, row, browser):
    held_by(redis, row)
    response = browser.post(url("connect", row))
    text = response.content.decode()
    assert (response.status_code, "<html" in text) == (409, True)
    assert 'name="holder" value="instance-1"' in text
    assert "csrfmiddlewaretoken" in text


def test_a_confirmed_take_over_is_asked_of_the_agents(redis, row, script):
    agent(redis)
    held_by(redis, row)
    status, answer = script(
        "connect", row, holder="instance-1", confirm="sandbox", reason="it hangs"
    )
    assert (status, answer["ok"]) == (200, True)
    assert wanted(row) == RUNNING
    assert (row.take_over_from, row.take_over_reason) == ("instance-1", "it hangs")
    assert LogEntry.objects.get().get_change_message() == (
        "Take over from host-1 (10.0.0.9), process 4711 (it hangs)"
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_a_take_over_that_is_not_confirmed_comes_back_with_its_errors(
    redis, row, script, browser, scripts
):
    agent(redis)
    held_by(redis, row)
    typed = {"holder": "instance-1", "confirm": '"><script>', "reason": ""}
    if scripts:
        status, answer = script("connect", row, **typed)
        assert set(answer["errors"]) == {"confirm", "reason"}
        text = answer["html"]
    else:
        response = browser.post(url("connect", row), typed)
        status, text = response.status_code, response.content.decode()
    assert status == 400
    assert "write the exchange&#x27;s name: sandbox" in text
    assert "Say why" in text
    assert '"><script>' not in text
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_a_holder_that_changed_meanwhile_is_shown_anew(redis, row, script):
    agent(redis)
    held_by(redis, row, 2)
    status, answer = script(
        "connect", row, holder="instance-1", confirm="sandbox", reason="it hangs"
    )
    assert status == 409
    assert 'name="holder" value="instance-2"' in answer["html"]
    assert 'value="it hangs"' in answer["html"]
    assert (wanted(row), row.take_over_from, LogEntry.objects.count()) == (STOPPED, "", 0)


# -- Symbols


def test_symbols_are_proposed_from_the_listing(row, page):
    def proposed(typed):
        return orjson.loads(page("symbols", row, q=typed)[0])["symbols"]

    assert proposed("") == ["SOL-USD", "XRP-USD"]  # the others are monitored
    assert proposed("so") == ["SOL-USD"]
    assert proposed("usd")[0] == "SOL-USD"
    row.symbols.filter(symbol="SOL-USD").update(status="delisted")
    for typed in ("so", "\0", "%", "_", "'", "x" * 5000):
        assert proposed(typed) == []


def test_at_most_twenty_are_proposed_those_that_begin_so_first(row, page):
    model = row.symbols.model
    model.objects.bulk_create(
        model(exchange=row, symbol=name, native_symbol=name, base=name, quote="USD")
        for name in [f"A{number:02}SOL-USD" for number in range(30)]
    )
    found = orjson.loads(page("symbols", row, q="sol")[0])["symbols"]
    assert (len(found), found[0], found[1]) == (20, "SOL-USD", "A00SOL-USD")


@pytest.mark.parametrize("name", ["add-symbols", "remove-symbols"])
def test_a_wrong_symbol_is_said_at_its_field_and_kept_to_be_corrected(row, script, browser, name):
    status, answer = script(name, row, symbols="sol-usdd")
    assert (status, "html" in answer) == (400, False)
    assert answer["errors"]["symbols"] == [answer["text"]]
    assert "SOL-USDD (close: SOL-USD" in answer["text"]
    response = browser.post(url(name, row), {"symbols": "sol-usdd"})
    text = response.content.decode()
    assert (response.status_code, 'value="sol-usdd"' in text) == (400, True)
    assert "close: SOL-USD" in text


# -- Hostile input

WRONG_SYMBOLS = [
    "<script>alert(1)</script>",
    "*",
    ":",
    "A\r\nSet-Cookie: x",
    "BTC-USD\0",
    "x" * 9999,
]


@pytest.mark.parametrize("typed", [*WRONG_SYMBOLS, " ".join(f"S{n}-USD" for n in range(10_000))])
@pytest.mark.parametrize("name", ["add-symbols", "remove-symbols", "repair", "check"])
def test_what_is_no_symbol_is_one_line(redis, row, script, browser, name, typed):
    live(redis, row)
    typed = {"symbols": typed, "symbol": typed, "timeframe": "1h"}
    status, answer = script(name, row, **typed)
    assert (status, answer["ok"]) == (400, False)
    assert answer["text"].isprintable()
    assert len(answer["text"]) < 3000
    text = browser.post(url(name, row), typed, follow=True).content.decode()
    assert "<script>alert" not in text
    assert (commands(redis, row), LogEntry.objects.count()) == ([], 0)


@pytest.mark.parametrize("reason", ["x" * 201, "a\0b", "\x1b[2J", "x" * 100_000])
@pytest.mark.parametrize("name", ["connect", "stop", "warmup", "repair", "add-symbols", "check"])
def test_a_reason_that_is_none_is_one_line(redis, row, script, form, name, reason):
    if name != "connect":
        live(redis, row)
    status, answer = script(name, row, reason=reason, symbols="SOL-USD")
    assert (status, answer["ok"], list(answer["errors"])) == (400, False, ["reason"])
    assert len(answer["text"]) < 200
    assert form(name, row, reason=reason, symbols="SOL-USD")[1] in (200, 400)
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)


def test_a_reason_is_text_and_no_markup(redis, row, form, page):
    form("connect", row, reason="<img src=x>\r\nSecond: line")
    assert LogEntry.objects.get().get_change_message() == "Connect (<img src=x> Second: line)"
    text, _ = page("page")
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt; Second: line" in text


@pytest.mark.parametrize("number", [0, 999, 10**30])
@pytest.mark.parametrize("name", [*ACTIONS, "symbols", "setup"])
def test_an_exchange_that_does_not_exist_is_one_line(row, browser, number, name):
    address = reverse(f"network:{name}", args=[number])
    ask = browser.get if name in ("symbols", "setup") else browser.post
    page = ask(address)
    assert (page.status_code, "There is no exchange" in page.content.decode()) == (404, True)
    answer = ask(address, headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (404, False)


@pytest.mark.parametrize("tail", ["x", "-1", "9" * 5000, "4%00", "4'"])
def test_what_is_no_number_is_no_address(row, browser, tail):
    assert browser.post(f"/admin/network/{tail}/connect/").status_code in (301, 302, 404)


@pytest.mark.parametrize(
    "symbol", ["DOGE-USD", "%3Cscript%3E", "BTC-USD%00", "*", "A%2FB", "%0D%0A"]
)
def test_a_pair_that_does_not_exist_is_one_line(row, browser, symbol):
    for pair in (f"{symbol}/1h", "BTC-USD/2h", "BTC-USD/%00"):
        response = browser.get(f"/admin/network/{row.pk}/pairs/{pair}/")
        assert response.status_code == 404
        assert "<script>" not in response.content.decode().split('class="panel fragment"')[-1]


def test_too_much_at_once_is_refused(row, browser):
    response = browser.post(url("add-symbols", row), {"symbols": "BTC-USD " * 400_000})
    assert response.status_code == 400


# -- Pairs


def test_the_page_of_a_pair_that_does_not_trade_says_so_and_offers_no_repair(row, browser):
    address = url("pair", row, "BTC-USD", "1h")
    assert "Repair now" in browser.get(address).content.decode()
    at = datetime(2026, 11, 19, 12, 5, tzinfo=UTC)
    row.symbols.filter(symbol="BTC-USD").update(status="halted", status_since=at)
    text = browser.get(address).content.decode()
    assert "<b>BTC-USD is halted</b> since 2026-11-19 12:05 UTC: nothing is asked for it" in text
    assert "Repair now" not in text


def test_a_pairs_page_and_its_data(row, browser):
    address = url("pair", row, "BTC-USD", "1h")
    assert "BTC-USD" in browser.get(address).content.decode()
    data = browser.get(address, headers={"Accept": JSON}).json()
    assert (data["exchangeId"], data["symbol"], data["timeframe"]) == (row.pk, "BTC-USD", "1h")
    assert data["candles"] == []


def test_a_symbol_with_a_slash_has_a_page_too(row, browser):
    row.symbols.filter(symbol="BTC-USD").update(symbol="A/B-USD")
    assert browser.get(url("pair", row, "A/B-USD", "1h")).status_code == 200
    assert browser.get(f"/admin/network/{row.pk}/pairs/A%2FB-USD/1h/").status_code == 200


def test_a_key_of_the_wrong_type_is_named_in_a_line(redis, row, browser):
    redis.set(keys.candles(row.pk, "BTC-USD", "1h"), "oops")
    answer = browser.get(url("pair", row, "BTC-USD", "1h"), headers={"Accept": JSON})
    assert (answer.status_code, answer.json()["ok"]) == (503, False)
    assert "Redis refused a command" in answer.json()["text"]
    assert "WRONGTYPE" in answer.json()["text"]


# -- Setup


def account_form(**values):
    return {"display_name": "Main", "is_active": "on", **values}


def add_account(user, row, name, **values):
    return save_account(UserExchange(user=user, exchange=row, display_name=name, **values))


def default_of(user):
    return user.user_exchanges.get(is_default=True).display_name


def test_the_setup_shows_ones_own_accounts_here_and_no_value(row, ada, page, browser, monkeypatch):
    monkeypatch.setenv("BINANCE_KEY", SECRET)
    add_account(ada, row, "Mine", api_key_env="BINANCE_KEY", api_secret_env="BINANCE_SECRET")
    add_account(ada, Exchange.objects.get(name="coinbase"), "Elsewhere")
    add_account(person("bob"), row, "Theirs")
    text, status = page("setup", row)
    fragment = text.split('class="panel fragment"')[1]
    assert (status, "Mine" in fragment, "<html" in text) == (200, True, True)
    assert "Theirs" not in fragment
    assert "Elsewhere" not in fragment
    assert 'BINANCE_KEY</code> <span class="tag good">' in fragment
    assert 'BINANCE_SECRET</code> <span class="tag warn">' in fragment
    assert SECRET not in text
    answer = browser.get(url("setup", row), headers={"Accept": JSON}).json()
    assert ("Mine" in answer["html"], "<html" in answer["html"]) == (True, False)


def test_a_first_account_is_added_as_the_default(row, ada, script, form):
    status, answer = script("setup", row, **account_form())
    assert (status, answer["ok"]) == (200, True)
    assert answer["text"] == "Main was added, the default: it is the only active one."
    assert "Main" in answer["html"]
    assert "New account" in answer["html"]
    assert "?account=" not in answer["html"].split("<form")[1]
    assert 'value="Main"' not in answer["html"]
    text, status = form("setup", row, **account_form(display_name="Second", is_default="on"))
    assert (status, "Second was added, the default." in text) == (200, True)
    assert default_of(ada) == "Second"
    assert ada.user_exchanges.filter(is_default=True).count() == 1


def test_an_account_is_changed(row, ada, script):
    account = add_account(ada, row, "Main")
    status, answer = script(
        "setup", row, query=f"?account={account.pk}", **account_form(display_name="Renamed")
    )
    assert (status, answer["text"]) == (
        200,
        "Renamed was changed, the default: it is the only active one.",
    )
    assert ada.user_exchanges.get().display_name == "Renamed"


def test_whose_account_it_is_and_where_can_not_be_sent(row, ada, script):
    other = Exchange.objects.get(name="coinbase")
    script("setup", row, **account_form(user=person("bob").pk, exchange=other.pk))
    account = UserExchange.objects.get()
    assert (account.user, account.exchange) == (ada, row)


@pytest.mark.parametrize("number", ["theirs", "elsewhere", "0", "x", "9" * 5000, "\0", "1 OR 1"])
def test_another_account_than_ones_own_is_not_there(row, ada, script, browser, number):
    theirs = add_account(person("bob"), row, "Theirs")
    elsewhere = add_account(ada, Exchange.objects.get(name="coinbase"), "Elsewhere")
    pk = {"theirs": theirs.pk, "elsewhere": elsewhere.pk}.get(number, number)
    query = {"account": pk}
    assert browser.get(url("setup", row), query).status_code == 404
    response = browser.post(url("setup", row) + f"?account={pk}", account_form(), follow=True)
    assert response.status_code == 404
    assert {each.display_name for each in UserExchange.objects.all()} == {"Theirs", "Elsewhere"}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"display_name": ""}, "display_name", "required"),
        ({"display_name": "Taken"}, "display_name", "an account of that name"),
        ({"display_name": "a\0b"}, "display_name", "Null characters"),
        ({"api_key_env": "HOME"}, "api_key_env", "must begin with"),
        ({"api_secret_env": SECRET}, "api_secret_env", "not the name of an environment variable"),
        ({"is_active": "", "is_default": "on"}, "is_default", "activate it first"),
    ],
)
def test_errors_stand_next_to_their_fields(row, ada, script, browser, values, field, message):
    add_account(ada, row, "Taken")
    values = {
        name: value
        for name, value in account_form(**values).items()
        if value or name != "is_active"
    }
    status, answer = script("setup", row, **values)
    assert (status, answer["ok"], list(answer["errors"])) == (400, False, [field])
    assert message in answer["errors"][field][0]
    place = answer["html"].index(f'name="{field}"')
    assert f'id="id_{field}_error"' in answer["html"][place:]
    assert SECRET not in orjson.dumps(answer).decode()
    response = browser.post(url("setup", row), values)
    assert (response.status_code, SECRET in response.content.decode()) == (400, False)
    assert (ada.user_exchanges.count(), LogEntry.objects.count()) == (1, 0)


def test_saving_an_account_leaves_its_row_in_the_history(row, ada, script):
    script("setup", row, **account_form(api_key_env="BINANCE_KEY"))
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (ada, str(row.pk))
    assert entry.get_change_message() == "Setup: account “Main” added"


def test_an_account_that_is_gone_by_then_is_said_in_a_line(row, ada, script, monkeypatch):
    account = add_account(ada, row, "Main")

    def delete_first(saved):
        UserExchange.objects.all().delete()
        return save_account(saved)

    monkeypatch.setattr("exchanges.accounts.save_account", delete_first)
    status, answer = script(
        "setup", row, query=f"?account={account.pk}", **account_form(is_default="on")
    )
    assert (status, answer["errors"]["__all__"]) == (
        400,
        ["This account was deleted by somebody else."],
    )


def test_an_account_that_another_window_added_first_is_said_at_its_name(
    row, ada, script, monkeypatch
):
    def add_first(saved):
        monkeypatch.undo()
        add_account(ada, row, saved.display_name)
        return save_account(saved)

    monkeypatch.setattr("exchanges.accounts.save_account", add_first)
    status, answer = script("setup", row, **account_form())
    assert status == 400
    assert "an account of that name" in answer["errors"]["display_name"][0]


# -- Setup: the default, deleting


@pytest.fixture
def two(ada, row):
    return add_account(ada, row, "Main"), add_account(ada, row, "Spare")


def of(account):
    return f"?account={account.pk}"


def test_the_setup_says_first_what_names_a_venue_takes_and_what_a_default_is_for(
    row, ada, page, two
):
    text, _ = page("setup", row)
    assert "names of variables begin with BINANCE_…," in text
    assert "Your default is offered first where somebody chooses whose key" in text
    assert "errorlist" not in text
    coinbase = Exchange.objects.get(name="coinbase")
    assert "names of variables begin with COINBASE_…," in page("setup", coinbase)[0]


def test_an_account_is_made_the_default_in_one_click(row, ada, script, two):
    status, answer = script("default-account", row, query=of(two[1]))
    assert (status, answer["text"]) == (200, "Spare is your default now.")
    assert "html" not in answer
    assert default_of(ada) == "Spare"
    assert LogEntry.objects.get().get_change_message() == (
        "Setup: account “Spare” made the default"
    )
    status, answer = script("default-account", row, query=of(two[0]), dialog="1")
    assert "Setup: " in answer["html"]
    assert default_of(ada) == "Main"


def test_without_script_it_leads_back_to_the_setup(row, ada, form, two):
    text, status = form("default-account", row, query=of(two[1]), dialog="1")
    assert (status, "Spare is your default now." in text, "Setup: " in text) == (200, True, True)


def test_an_account_is_deleted_after_a_question(row, ada, page, script, browser, two):
    question = browser.get(url("delete-account", row) + of(two[0])).content.decode()
    assert "Delete Main at" in question
    assert "the oldest of your other active accounts becomes the default" in question
    assert ada.user_exchanges.count() == 2
    status, answer = script("delete-account", row, query=of(two[0]))
    assert (status, answer["text"]) == (200, "Main was deleted.")
    assert default_of(ada) == "Spare"
    assert LogEntry.objects.get().get_change_message() == "Setup: account “Main” deleted"


def test_an_account_in_use_is_not_deleted_and_a_line_says_so(row, ada, script, browser, two):
    Exchange.objects.filter(pk=row.pk).update(account=two[0])
    question = browser.get(url("delete-account", row) + of(two[0])).content.decode()
    assert f"The key of Main is used by {row.name}, so it is not deleted." in question
    assert 'class="danger"' not in question
    status, answer = script("delete-account", row, query=of(two[0]))
    assert (status, answer["ok"]) == (400, False)
    assert f"The key of Main is used by {row.name}" in answer["html"]
    assert (ada.user_exchanges.count(), LogEntry.objects.count()) == (2, 0)


@pytest.mark.parametrize("field", ["api_key_env", "api_secret_env", "passphrase_env"])
def test_whose_key_an_exchange_uses_is_not_led_elsewhere_in_the_setup(row, ada, script, field):
    names = {"api_key_env": "BINANCE_KEY", "api_secret_env": "BINANCE_SECRET"}
    account = add_account(ada, row, "Main", **names)
    Exchange.objects.filter(pk=row.pk).update(account=account)
    changed = account_form(**names | {field: "BINANCE_OTHER"})
    status, answer = script("setup", row, query=of(account), **changed)
    assert status == 400
    assert f"is used by {row.name}, so its variables" in answer["errors"]["__all__"][0]
    assert 'value="BINANCE_OTHER"' in answer["html"]  # what was typed stays
    account.refresh_from_db()
    assert (account.api_key_env, account.passphrase_env) == ("BINANCE_KEY", "")
    inactive = {name: value for name, value in changed.items() if name != "is_active"}
    assert script("setup", row, query=of(account), **inactive)[0] == 200
    assert script("setup", row, query=of(account), **changed)[0] == 200
    assert Exchange.objects.get(pk=row.pk).account is None


@pytest.mark.parametrize("name", ["default-account", "delete-account"])
def test_nobody_touches_the_account_of_another(row, ada, two, name):
    bob = Client()
    bob.force_login(person("bob", "operate_exchange", "view_exchange"))
    assert bob.post(url(name, row) + of(two[1])).status_code == 404
    looker = Client()
    looker.force_login(person("eve", "view_exchange"))
    assert looker.post(url(name, row) + of(two[1])).status_code == 403
    assert (default_of(ada), ada.user_exchanges.count()) == ("Main", 2)


def test_nothing_is_made_the_default_by_looking(row, ada, browser, two):
    assert browser.get(url("default-account", row) + of(two[1])).status_code == 405
    assert browser.get(url("delete-account", row) + of(two[1])).status_code == 200
    assert (default_of(ada), ada.user_exchanges.count()) == ("Main", 2)


def test_an_inactive_account_is_not_made_the_default(row, ada, script, two):
    asleep = add_account(ada, row, "Asleep", is_active=False)
    status, answer = script("default-account", row, query=of(asleep))
    assert (status, "activate it first" in answer["text"]) == (400, True)
    assert default_of(ada) == "Main"


def test_a_typed_name_stays_to_be_corrected_and_what_may_be_a_secret_goes(row, ada, script):
    typed = account_form(api_key_env="MY_KEY", api_secret_env=SECRET)
    status, answer = script("setup", row, **typed)
    assert status == 400
    assert 'value="MY_KEY"' in answer["html"]
    assert 'value="Main"' in answer["html"]
    assert SECRET not in orjson.dumps(answer).decode()


SECRETS_IN_CAPITALS = ["JBSWY3DPEHPK3PXP", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "A" * 64]


@pytest.mark.parametrize("secret", SECRETS_IN_CAPITALS)
def test_a_secret_in_capitals_does_not_stay(row, ada, script, secret):
    _, answer = script("setup", row, **account_form(api_key_env=secret))
    assert secret not in orjson.dumps(answer).decode()


@pytest.mark.parametrize(
    ("mine", "fault"),
    [
        ({"api_key_env": "BINANCE_SECRET"}, "holds a secret of an account"),
        ({"api_key_env": "BINANCE_PHRASE"}, "holds a secret of an account"),
        ({"api_secret_env": "BINANCE_KEY"}, "named as the key of an account"),
        ({"passphrase_env": "BINANCE_KEY"}, "named as the key of an account"),
        ({"api_key_env": "BINANCE_A", "api_secret_env": "BINANCE_A"}, "holds a secret"),
        ({"api_key_env": "BINANCE_A", "passphrase_env": "BINANCE_A"}, "holds a secret"),
        ({"api_key_env": "COINBASE_KEY"}, "must begin with BINANCE_."),
    ],
)
def test_what_is_a_secret_of_anybody_is_no_key_nor_the_reverse(row, ada, script, mine, fault):
    add_account(
        person("bob"),
        Exchange.objects.get(name="coinbase"),
        "Theirs",
        api_key_env="BINANCE_KEY",
        api_secret_env="BINANCE_SECRET",
        passphrase_env="BINANCE_PHRASE",
        is_active=False,
    )
    status, answer = script("setup", row, **account_form(**mine))
    assert status == 400
    [(field, [line])] = answer["errors"].items()
    assert field in mine
    assert fault in line
    assert "Theirs" not in line


# -- Without Redis


def test_without_redis_the_page_does_not_say_that_no_agent_is_alive(row, page, monkeypatch):
    from redis import Redis

    gone = Redis(port=1, socket_connect_timeout=1, retry=None)
    monkeypatch.setattr("warmup.network.views.get_redis_connection", lambda name: gone)
    text, status = page("page")
    assert (status, "Redis does not answer:" in text) == (200, True)
    assert "data-no-agent hidden" in text


def test_without_redis_actions_say_so_and_change_nothing(row, script, form, monkeypatch):
    from redis import Redis

    gone = Redis(port=1, socket_connect_timeout=1, retry=None)
    monkeypatch.setattr("warmup.network.views.get_redis_connection", lambda name: gone)
    for name in ("connect", "stop", "warmup", "add-symbols"):
        status, answer = script(name, row, symbols="SOL-USD")
        assert (status, "Redis does not answer" in answer["text"]) == (503, True)
    assert "Redis does not answer" in form("connect", row)[0]
    assert (wanted(row), LogEntry.objects.count()) == (STOPPED, 0)
