"""Who reads candles, as the processes that serve say it in Redis."""

import orjson
import pytest
from django.urls import reverse

from livermore.market import keys
from tests.warmup.network.operators import listed_exchange, person
from warmup.network.readers import (
    KEPT_MS,
    Reader,
    Report,
    read_readers,
    read_reports,
    tell_readers,
    withdraw,
)

BOT = Reader("bot", "sandbox", 60, 45, 50, 47, 2, 31, 1_795_000_000_000)


def tell(redis, process="one", *readers, server="s"):
    tell_readers(redis, Report(process, server, readers=readers))


def test_what_is_said_is_read_as_it_was_said(redis):
    tell(redis, "one", BOT)
    (report,) = read_reports(redis)
    assert (report.process_id, report.server_id, report.readers) == ("one", "s", (BOT,))
    assert 0 < redis.pttl(keys.readers()) <= KEPT_MS


def test_a_reader_of_several_processes_is_one_line(redis):
    tell(redis, "one", BOT, Reader("", "sandbox", 1, sockets=1))
    tell(redis, "two", Reader("bot", "sandbox", 10, 5, 10, 6, 1, 90, 1_795_000_000_500))
    assert read_readers(redis) == [
        {
            "client": "", "exchange": "sandbox", "requests": 1, "hitRatio": None, "saved": 0,
            "sockets": 1, "slowestMs": 0, "seenAt": 0,
        },
        {
            "client": "bot", "exchange": "sandbox", "requests": 70, "hitRatio": 50 / 60,
            "saved": 53, "sockets": 3, "slowestMs": 90, "seenAt": 1_795_000_000_500,
        },
    ]  # fmt: skip


def test_a_process_that_died_or_has_ended_reads_nothing_any_more(redis):
    tell(redis, "ended", BOT)
    withdraw(redis, "ended")
    old = Report("dead", "s", redis.time()[0] * 1000 - 60_000, (BOT,))
    redis.hset(keys.readers(), "dead", orjson.dumps(old.as_json()))
    assert read_readers(redis) == []
    tell(redis, "one")
    assert redis.hkeys(keys.readers()) == [b"one"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"serverId":"s","heartbeat":1}', '{"serverId":1,"heartbeat":1,"readers":[]}',
     '{"serverId":"s","heartbeat":99999999999999,"readers":[{"client":"a"}]}',
     '{"serverId":"s","heartbeat":99999999999999,"readers":[7]}'],
)  # fmt: skip
def test_what_nobody_of_ours_wrote_is_passed_over(redis, text):
    tell(redis, "one", BOT)
    redis.hset(keys.readers(), "other", text)
    assert len(read_readers(redis)) == 1


@pytest.mark.django_db
def test_the_page_shows_them_without_scripts_and_says_where_nobody_reads(redis, client):
    listed_exchange()
    client.force_login(person("ada", "view_exchange"))
    page = client.get(reverse("network:page")).content.decode()
    assert "Pointing" in page
    assert '<table class="plain" id="readers" hidden>' in page
    tell(redis, "one", BOT, Reader("", "sandbox", 1))
    page = client.get(reverse("network:page")).content.decode()
    assert '<table class="plain" id="readers">' in page
    rows = page[page.index('id="readers"') : page.index("data-no-readers")]
    for text in ("bot", "without a token", "90 %", "31 ms", ">47<", "–"):
        assert text in rows, text
