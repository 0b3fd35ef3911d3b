from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from exchanges.rest.refusals import (
    LONGEST_ASKED_SECONDS,
    ban_seconds,
    names_country,
    retry_after_seconds,
)

NOW = 1_790_000_000


def dated(seconds=0):
    return format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-1", None),
        ("7", 7),
        ("999999999", LONGEST_ASKED_SECONDS),
        (dated(30), 30),
        (dated(-30), 0),
        (dated(10**7), LONGEST_ASKED_SECONDS),
    ],
)
def test_how_long_to_wait_is_told_in_seconds_or_as_a_date_by_the_senders_clock(text, seconds):
    assert retry_after_seconds({"Date": dated(), "Retry-After": text}) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"msg": f"IP banned until {NOW + 90}000."}, 90),
        ({"msg": f"since {NOW - 90}000 until {NOW + 10**7}000"}, LONGEST_ASKED_SECONDS),
        ({"msg": "banned"}, 0),
        ({"msg": None}, 0),
        ([], 0),
        (None, 0),
    ],
)
def test_a_bans_end_is_read_from_its_message(body, seconds):
    assert ban_seconds(body, {"Date": dated()}) == seconds


@pytest.mark.parametrize(
    ("content", "is_country"),
    [
        (b"Service unavailable from a restricted location according to 'b. Eligibility'", True),
        (b"<p>This site is not available in your\n country</p>", True),
        (b"<h1>Request blocked</h1>", False),
        (b"\xff\xfe", False),
        (b"", False),
    ],
)
def test_a_refusal_of_a_country_is_known_by_its_words(content, is_country):
    assert names_country(content) is is_country
