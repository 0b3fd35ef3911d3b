"""History in the admin: what is kept is chosen there, and files are looked at."""

import re
from datetime import UTC, date, datetime
from html import unescape

import pytest
from django.urls import reverse

from exchanges.models import AuditRun, Exchange
from history.models import HistoryFile, KeptHistory, PairHistory
from tests.warmup.network.operators import listed_exchange, person

pytestmark = pytest.mark.django_db

DAY_MS = 86_400_000
START_MS = 20_000 * DAY_MS  # 2024-10-04
MODELS = {"history": ["kepthistory", "pairhistory", "historyfile"], "exchanges": ["auditrun"]}
NAMES = [f"{app}_{model}" for app, models in MODELS.items() for model in models]


@pytest.fixture
def row(redis):
    return listed_exchange()


@pytest.fixture
def pair(row):
    covered = [[START_MS, START_MS + DAY_MS], [START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS]]
    again = [[START_MS + DAY_MS, START_MS + 2 * DAY_MS, "empty", START_MS, 1]]
    pair = PairHistory.objects.create(
        store="a" * 32, exchange=row, symbol="BTC-USD", timeframe="1h", coverage=covered,
        unconfirmed=again,
    )  # fmt: skip
    path = "exchange=sandbox/symbol=BTC-USD/timeframe=1h/2024-10.parquet"
    values = {"digest": "b" * 64, "rows": 48, "size": 4096}
    HistoryFile.objects.create(pair=pair, month="2024-10", path=path, **values)
    return pair


def log_in(client, *permissions):
    client.force_login(person("ada", *permissions))
    return client


def text_of(client, name, *arguments, query=""):
    answer = client.get(reverse(f"admin:{name}", args=arguments) + query)
    assert answer.status_code == 200
    return unescape(re.sub(r"[ \n]+", " ", answer.content.decode()))


def values_of(row, **values):
    return {"exchange": row.pk, "since": "2023-01-01", "is_active": "on"} | values


def test_what_is_kept_is_chosen_changed_and_switched_off(client, row):
    log_in(client, "add_kepthistory", "change_kepthistory", "view_exchange")
    add = reverse("admin:history_kepthistory_add")
    values = values_of(row, symbols="btc-usd, ETH-USD", timeframes=["1d", "1h"])
    assert client.post(add, values).status_code == 302
    kept = KeptHistory.objects.get()
    assert (kept.symbols, kept.timeframes) == (["BTC-USD", "ETH-USD"], ["1d", "1h"])
    assert (kept.since, kept.is_active) == (date(2023, 1, 1), True)
    assert "BTC-USD, ETH-USD" in text_of(client, "history_kepthistory_change", kept.pk)
    change = reverse("admin:history_kepthistory_change", args=[kept.pk])
    assert client.post(change, {"since": "2024-01-01", "symbols": ""}).status_code == 302
    kept.refresh_from_db()
    assert (kept.symbols, kept.timeframes, kept.is_active) == ([], [], False)
    shown = text_of(client, "history_kepthistory_changelist")
    assert "those monitored" in shown
    assert "all six" in shown


def test_a_symbol_that_is_not_listed_is_refused_in_words(client, row):
    log_in(client, "add_kepthistory")
    answer = client.post(
        reverse("admin:history_kepthistory_add"), values_of(row, symbols="BTC-USD, DOGE-USD")
    )
    assert "Sandbox does not list DOGE-USD." in unescape(answer.content.decode())
    assert not KeptHistory.objects.exists()


def test_coverage_is_told_in_words(client, pair):
    log_in(client, "view_pairhistory", "view_historyfile")
    text = text_of(client, "history_pairhistory_change", pair.pk)
    assert "2024-10-04 to 2024-10-05; 2024-10-06 to 2024-10-07: 1 gap" in text
    assert "2024-10-05 to 2024-10-06: empty, seen 2024-10-04" in text
    shown = text_of(client, "history_pairhistory_changelist")
    assert ">48<" in shown
    assert "4.0" in shown
    assert "2024\u201110\u201104\u00a0to\u00a02024\u201110\u201107,\u00a01\u00a0gap" in shown
    files = f"?pair__id__exact={pair.pk}"
    assert ">2024-10<" in text_of(client, "history_historyfile_changelist", query=files)


@pytest.mark.parametrize("name", ["history_pairhistory", "history_historyfile"])
def test_rows_are_searched_and_filtered(client, pair, name):
    log_in(client, "view_pairhistory", "view_historyfile")
    address = reverse(f"admin:{name}_changelist")
    for query, many in {"btc": 1, "doge": 0}.items():
        assert client.get(address, {"q": query}).context["cl"].result_count == many


def test_an_audit_is_told_in_words(client, row):
    log_in(client, "view_auditrun")
    found = {"source": "cache", "symbol": "BTC-USD", "timeframe": "1h", "timestamp": START_MS}
    found |= {"kept": [START_MS, 1, 2, 0.5, 1.5, 7], "told": None}
    at = datetime(2024, 10, 4, tzinfo=UTC)
    values = {"compared": 500, "differing": 1, "differences": [found], "night": at.date()}
    run = AuditRun.objects.create(exchange=row, started_at=at, ended_at=at, **values)
    text = text_of(client, "exchanges_auditrun_change", run.pk)
    assert "cache: BTC-USD 1h 2024-10-04 00:00 UTC: kept 1 2 0.5 1.5 7, told no candle" in text
    assert "candles differ" in text_of(client, "exchanges_auditrun_changelist")


@pytest.mark.parametrize("name", NAMES)
def test_who_may_not_look_is_refused(client, row, name):
    log_in(client, "view_exchange")
    assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403


@pytest.mark.parametrize("name", NAMES)
def test_who_may_look_alone_changes_nothing(client, pair, name):
    model = name.partition("_")[2]
    log_in(client, f"view_{model}")
    text_of(client, f"{name}_changelist")
    assert client.get(reverse(f"admin:{name}_add")).status_code == 403


@pytest.mark.parametrize("name", NAMES[1:])
def test_nobody_changes_what_livermore_writes(client, pair, name):
    AuditRun.objects.create(exchange=pair.exchange, started_at=datetime.now(UTC))
    model = name.partition("_")[2]
    log_in(client, *(f"{what}_{model}" for what in ("add", "change", "delete", "view")))
    number = (
        {"pairhistory": PairHistory, "historyfile": HistoryFile, "auditrun": AuditRun}[model]
        .objects.get()
        .pk
    )
    assert client.post(reverse(f"admin:{name}_change", args=[number])).status_code == 403
    assert client.post(reverse(f"admin:{name}_delete", args=[number])).status_code == 403
    assert client.get(reverse(f"admin:{name}_add")).status_code == 403
    assert Exchange.objects.filter(pk=pair.exchange_id).exists()


def test_an_exchange_may_be_deleted_with_what_is_known_of_it(client, pair):
    AuditRun.objects.create(exchange=pair.exchange, started_at=datetime.now(UTC))
    models = ("exchange", "symbol", "pairhistory", "historyfile", "auditrun")
    log_in(client, *(f"delete_{model}" for model in models), "view_exchange")
    address = reverse("admin:exchanges_exchange_delete", args=[pair.exchange_id])
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not Exchange.objects.filter(pk=pair.exchange_id).exists()
