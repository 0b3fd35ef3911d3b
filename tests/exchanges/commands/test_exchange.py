"""`./run exchange`: rows listed, shown and changed from a terminal."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from exchanges.models import Exchange
from livermore.command import UsageError
from tests.warmup.runners import make_row, running, serve

US = {"rest": "https://api.example.com", "ws": "wss://stream.example.com:9443"}


@pytest.fixture
def row(db, redis):
    return Exchange.objects.get(name="binance_us")


def run(*arguments):
    """Return what it says on standard output, and beside it."""
    out, err = StringIO(), StringIO()
    call_command("exchange", *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_without_a_name_it_lists_every_row_with_its_number(row):
    out, _ = run()
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in out.splitlines()]
    for each in Exchange.objects.all():
        assert [str(each.pk), each.name, each.display_name] in rows
    assert [each["id"] for each in json.loads(run("--json")[0])] == sorted(
        Exchange.objects.values_list("pk", flat=True)
    )


def test_with_a_name_alone_it_shows_the_row_and_changes_nothing(row):
    out, err = run("binance_us")
    assert "https://api.binance.us" in out
    assert "wss://stream.binance.us:9443" in out
    assert err == ""
    found = json.loads(run("binance_us", "--json")[0])
    assert (found["id"], found["restUrl"], found["isActive"]) == (row.pk, row.rest_url, True)
    before = row.updated_at
    row.refresh_from_db()
    assert row.updated_at == before


def test_a_batch_of_one_is_shown_as_a_number(db, redis):
    (line,) = (each for each in run("kraken")[0].splitlines() if "batchSize" in each)
    assert line.split() == ["batchSize", "1"]


def test_addresses_are_changed_together(row):
    out, err = run("binance_us", "--rest", US["rest"] + "/", "--ws", US["ws"])
    row.refresh_from_db()
    assert (row.rest_url, row.ws_url) == (US["rest"], US["ws"])
    assert (out, err) == ("binance_us: changed rest, ws\n", "")
    out, err = run("binance_us", "--display-name", "Here", "--json")
    assert (json.loads(out)["displayName"], err) == ("Here", "binance_us: changed display-name\n")


def test_an_archive_is_named_where_its_venue_has_one(row):
    out, _ = run("binance_us", "--archive", "https://data.example.com/")
    assert out == "binance_us: changed archive\n"
    assert json.loads(run("binance_us", "--json")[0])["archiveUrl"] == "https://data.example.com"
    with pytest.raises(UsageError, match="publishes no candles in bulk"):
        run("coinbase", "--archive", "https://data.example.com")
    with pytest.raises(UsageError, match="private, local or reserved"):
        run("binance_us", "--archive", "https://10.0.0.1")


@pytest.mark.parametrize(
    ("option", "value", "field", "stored"),
    [
        ("--proxy", "socks5h://127.0.0.1:1080", "proxy", "socks5h://127.0.0.1:1080"),
        ("--display-name", "Here", "display_name", "Here"),
        ("--active", "no", "is_active", False),
        ("--pacing", "batch", "pacing", "batch"),
        ("--batch-size", "7", "batch_size", 7),
        ("--batch-delay-ms", "0", "batch_delay_ms", 0),
    ],
)
def test_each_option_changes_its_field_and_no_other(row, option, value, field, stored):
    before = Exchange.objects.filter(pk=row.pk).values().get()
    run("binance_us", option, value)
    after = Exchange.objects.filter(pk=row.pk).values().get()
    differ = {name for name in after if after[name] != before[name]}
    assert differ == {field, "updated_at"}
    assert after[field] == stored


def test_an_empty_proxy_takes_it_away(row):
    Exchange.objects.update(proxy="http://127.0.0.1:3128")
    run("binance_us", "--proxy", "")
    row.refresh_from_db()
    assert row.proxy == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rest", "http://api.binance.us"), "--rest: http:// is not encrypted"),
        (("--rest", "https://169.254.169.254"), "--rest: 169.254.169.254 is a private"),
        (("--ws", "https://stream.binance.us"), "--ws: The address must begin with wss://"),
        (("--rest", ""), "--rest: This field is required"),
        (("--proxy", "ftp://x:1"), "--proxy: This is no proxy"),
        (("--pacing", "fast"), "available choices. Known are: batch, weight."),
        (("--wanted", "maybe"), "available choices. Known are: running, stopped."),
        (("--active", "perhaps"), "--active is yes or no"),
        (("--batch-size", "0"), "--batch-size: Ensure this value is greater"),
        (("--batch-size", "many"), "--batch-size: Enter a whole number"),
    ],
)
def test_what_the_admin_refuses_is_one_line_and_changes_nothing(row, options, words):
    before = Exchange.objects.filter(pk=row.pk).values().get()
    with pytest.raises(UsageError) as error:
        run("binance_us", "--display-name", "Other", *options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert Exchange.objects.filter(pk=row.pk).values().get() == before


def test_weight_is_refused_where_none_is_published(row):
    with pytest.raises(UsageError, match="--pacing: Coinbase publishes no request weight"):
        run("coinbase", "--pacing", "weight")


def test_a_proxys_password_is_refused_without_being_repeated(row):
    with pytest.raises(UsageError) as error:
        run("binance_us", "--proxy", "http://me:hunter2secret@127.0.0.1:3128")
    assert "hunter2secret" not in str(error.value)


def test_who_types_a_wrong_name_is_told_the_right_ones(row):
    with pytest.raises(UsageError, match="unknown exchange 'binanze'; known are: binance, "):
        run("binanze", "--rest", US["rest"])
    with pytest.raises(UsageError, match="--rest needs the name of an exchange"):
        run("--rest", US["rest"])


def test_one_that_is_switched_off_is_switched_on_again(row):
    Exchange.objects.filter(pk=row.pk).update(is_active=False)
    run("binance_us", "--active", "yes")
    row.refresh_from_db()
    assert row.is_active


def test_what_is_so_already_is_said_and_not_written(row):
    said, _ = run("binance_us", "--rest", row.rest_url)
    assert said == "binance_us: nothing to change, it is so already\n"
    updated_at = row.updated_at
    row.refresh_from_db()
    assert row.updated_at == updated_at


def test_it_is_done_without_redis_too(row, settings):
    gone = {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": settings.CACHES["default"] | gone}
    said, _ = run("binance_us", "--rest", US["rest"])
    assert "who runs it is not known" in said
    row.refresh_from_db()
    assert row.rest_url == US["rest"]


def test_a_runner_keeps_its_addresses_until_it_is_started_again_and_that_is_said(
    transactional_db, redis
):
    with serve() as old, serve() as new:
        row = make_row(old)
        with running(redis, row, ["BTC-USD"]):
            said, _ = run("sandbox", "--rest", new.url, "--ws", new.ws_url)
            assert "changed rest, ws. It is held by " in said
            assert "--wanted stopped and then --wanted running" in said
            said, _ = run("sandbox", "--display-name", "Here")
            assert said == "sandbox: changed display-name\n"
        row.refresh_from_db()
        with running(redis, row, ["BTC-USD"]):
            assert new.streams["binance"].connects == 1
