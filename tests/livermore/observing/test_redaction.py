import base64
import html
import json
from urllib.parse import quote

import pytest

from livermore.observing.redaction import redacted
from serving.models import ApiClient

SECRET = """aw&kward<'"\\secret with é"""
PEM = "-----BEGIN KEY-----\nMHcCAQEEIA0123456789abcdef\nZZZZbbbbCCCCddddEEEE\n-----END KEY-----\n"


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("BINANCE_SECRET", SECRET)


@pytest.mark.parametrize(
    "form",
    [str, repr, json.dumps, html.escape, lambda text: quote(text, safe=""),
     lambda text: html.escape(repr(text))],
)  # fmt: skip
def test_a_key_is_covered_in_whichever_form_it_stands(secret, form):
    shown = redacted(f"before {form(SECRET)} after")
    assert "secret" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("line_break", ["\n", "\\n", "\r\n"])
def test_a_key_of_several_lines_is_covered_line_by_line(monkeypatch, line_break):
    monkeypatch.setenv("COINBASE_KEY", PEM.replace("\n", line_break))
    shown = redacted(f"{PEM!r} and {PEM} and MHcCAQEEIA0123456789abcdef alone")
    assert "MHcC" not in shown
    assert "ZZZZ" not in shown
    assert shown.count("***") >= 3


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("SECRET_KEY", "key-of-the-sessions", "key-of-the-sessions"),
        ("LIVERMORE_METRICS_TOKEN", "token-of-the-metrics", "token-of-the-metrics"),
        ("REDIS_URL", "redis://user:pass%40word-1@host:6379/0", "pass@word-1"),
        ("REDIS_URL", "redis://user:pass%40word-1@host:6379/0", "pass%40word-1"),
        ("REDIS_URL", "unix:///path?db=0&password=pass@word-1", "pass@word-1"),
        ("DATABASE_URL", "postgres://user:pass%40word-1@host/name", "pass@word-1"),
        ("DATABASE_URL", "postgres://user@host/name?sslpassword=pass-word", "pass-word"),
        ("REDIS_URL", "redis://:before/after-it@host:6379/0", "before"),
        ("REDIS_URL", "redis://:before/after-it@host:6379/0", "after-it"),
        ("REDIS_URL", "redis://:before#after-it@host:6379/0", "before#after-it"),
        ("REDIS_URL", "redis://:pass@word-1@host:6379/0", "pass@word-1"),
        ("REDIS_URL", "redis+sentinel://u:pass-word@h1:1,h2:2/m/0", "pass-word"),
        ("REDIS_URL", "redis+sentinel://h1,h2/m?sentinel_password=pass%2Fword", "pass/word"),
        ("REDIS_URL", "redis+cluster://:pass%40word-1@[::1]:1,h2:2/", "pass@word-1"),
    ],
)
def test_what_the_settings_hold_is_covered(settings, name, value, secret):
    setattr(settings, name, value)
    assert redacted(f"say {secret} now") == "say *** now"


def test_a_password_that_only_the_database_knows_is_covered(settings):
    settings.DATABASES["default"]["PASSWORD"] = "of-the-database"
    try:
        assert redacted("password=of-the-database") == "password=***"
    finally:
        settings.DATABASES["default"]["PASSWORD"] = ""


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "PGPASSWORD"])
def test_a_password_that_others_read_from_the_environment_is_covered(monkeypatch, name):
    monkeypatch.setenv(name, "of-the-database")
    assert redacted("password=of-the-database") == "password=***"


def test_hosts_are_no_secrets(settings):
    settings.REDIS_URL = "redis://user:password@redis.example.org:6379/0?name=a@b"
    assert redacted("redis.example.org said a@b") == "redis.example.org said a@b"


@pytest.mark.parametrize("text", ["-eyJ", "eyJaaaaaaaa.", "bearer ", "eyJ"])
def test_no_text_takes_long(text):
    """It would take minutes: anybody's address stands in the log."""
    long = text * (400_000 // len(text))
    assert len(redacted(long)) <= len(long)


def test_signed_tokens_are_covered_whoever_signed_them():
    part = base64.urlsafe_b64encode(b'{"alg":"ES256","kid":"name"}').decode().rstrip("=")
    assert redacted(f"{part}.{part}.signature_-1 went out") == "*** went out"
    assert redacted("Authorization: Bearer abc.def-123") == "Authorization: Bearer ***"


def test_a_token_of_an_api_client_is_covered_wherever_it_stands():
    token = ApiClient(name="bot").new_token()
    assert redacted(f"GET /k/{token}/binance/ws") == "GET /k/***/binance/ws"
    assert redacted("lm_cache is no token, nor is film_" + token) != "***"


@pytest.mark.parametrize("value", ["", "     ", "abc", "12345"])
def test_a_value_too_short_to_be_a_secret_covers_nothing(monkeypatch, value):
    monkeypatch.setenv("BINANCE_X", value)
    text = "abc 12345      and so on"
    assert redacted(text) == text


def test_variables_that_no_account_may_name_are_not_secrets(monkeypatch):
    monkeypatch.setenv("SOMETHING_ELSE", "not-a-secret")
    assert redacted("not-a-secret") == "not-a-secret"


def test_of_two_secrets_that_begin_alike_the_longer_is_covered_whole(monkeypatch):
    monkeypatch.setenv("BINANCE_A", "secret-1")
    monkeypatch.setenv("BINANCE_B", "secret-1-and-more")
    assert redacted("secret-1-and-more") == "***"


def test_a_variable_that_changed_is_covered_at_once(monkeypatch):
    monkeypatch.setenv("BINANCE_A", "first-value")
    redacted("")
    monkeypatch.setenv("BINANCE_A", "second-value")
    assert redacted("second-value") == "***"


def test_an_address_that_is_none_spoils_no_line(settings):
    settings.REDIS_URL = "redis://[::1"
    assert redacted("a line") == "a line"
