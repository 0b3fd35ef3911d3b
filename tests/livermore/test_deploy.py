"""`manage.py check --deploy` as a person runs it before a deployment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.settings import settings_of

ROOT = Path(__file__).parent.parent.parent
PRODUCTION = {
    "LIVERMORE_SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQ",
    "LIVERMORE_ALLOWED_HOSTS": "livermore.example.org",
    "LIVERMORE_HTTPS": "true",
    "LIVERMORE_BEHIND_PROXY": "true",
    "LIVERMORE_TRUSTED_ORIGINS": "https://livermore.example.org",
    "LIVERMORE_METRICS_TOKEN": "a-token-of-thirty-two-characters",
    "LIVERMORE_LOG_FORMAT": "json",
    "DATABASE_URL": "postgres://livermore:password@database.example.org/livermore",
    "REDIS_URL": "rediss://:password@redis.example.org:6379/0",
}


def manage(*arguments, **changes):
    """Run a command with production's environment, changed by `changes`; None takes away."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LIVERMORE_")}
    environment = {**kept, **PRODUCTION, **changes}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={name: text for name, text in environment.items() if text is not None},
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def check(**changes):
    return manage("check", "--deploy", "--fail-level", "WARNING", **changes)


def test_a_deployment_as_the_document_describes_it_has_no_issue():
    done = check()
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


def test_what_is_missing_is_named():
    done = check(
        LIVERMORE_HTTPS=None,
        LIVERMORE_SECRET_KEY="a short key",
        LIVERMORE_TRUSTED_ORIGINS="livermore.example.org",
        LIVERMORE_METRICS_TOKEN="guess me",
    )
    assert done.returncode != 0
    for issue in ("security.W008", "security.W012", "security.W009", "4_0.E001", "livermore.E006"):
        assert issue in done.stderr
    assert "a short key" not in done.stderr
    assert "guess me" not in done.stderr


@pytest.mark.parametrize(("seconds", "said"), [("0", "security.W004"), ("a year", "is a number")])
def test_how_long_browsers_remember_is_a_number_above_zero(seconds, said):
    done = check(LIVERMORE_HSTS_SECONDS=seconds)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


SECURE = (
    *("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS"),
    *("SECURE_PROXY_SSL_HEADER", "CSRF_TRUSTED_ORIGINS"),
)


def shown(**changes):
    ours = [name for name in os.environ if name.startswith("LIVERMORE_")]
    found = settings_of(**dict.fromkeys(ours) | PRODUCTION | changes)
    return [found[name] for name in SECURE]


def test_https_and_the_proxy_are_asked_for_one_by_one():
    forwarded = ("HTTP_X_FORWARDED_PROTO", "https")
    assert shown(LIVERMORE_HSTS_SECONDS="31536000") == [
        *(True, True, True, 31536000),
        *(forwarded, ["https://livermore.example.org"]),
    ]
    plain = {name: None for name in PRODUCTION if name.startswith("LIVERMORE_")}
    assert shown(**plain) == [False, False, False, 0, None, []]
