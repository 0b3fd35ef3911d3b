"""Which settings make which names, and which are refused."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from livermore.market import keys
from livermore.market.naming import Naming, name_as
from tests.fixtures.settings import settings_of
from tests.warmup.runners import ROOT

PROCESS = """
import django; django.setup()
from django.conf import settings
from livermore.market import keys
print(keys.lock(7), keys.pacing("h"), settings.CACHES["default"]["KEY_PREFIX"],
      settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"])
"""


def names(**variables):
    """Return what an installation with these settings calls things."""
    found = settings_of(**variables)
    of_ours = ("LIVERMORE_KEY_PREFIX", "LIVERMORE_KEY_TAGS", "LIVERMORE_PACING_PREFIX")
    before = name_as(Naming(*(found[name] for name in of_ours)))
    try:
        caches, layers = found["CACHES"]["default"], found["CHANNEL_LAYERS"]["default"]
        of_django = caches["KEY_PREFIX"], layers["CONFIG"]["prefix"]
        return [keys.lock(7), keys.pacing("h"), *of_django]
    finally:
        name_as(before)


def process(**variables):
    """Return what a process with these settings calls things, or the last line that it says."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "livermore.settings"} | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.stdout.split() or done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "exchange:7:lock pacing:h django asgi"),
        (
            {"LIVERMORE_KEY_PREFIX": "lm:"},
            "lm:exchange:7:lock lm:pacing:h lm:django lm:asgi",
        ),
        (
            {"LIVERMORE_KEY_PREFIX": "lm:", "LIVERMORE_PACING_PREFIX": "all:"},
            "lm:exchange:7:lock all:pacing:h lm:django lm:asgi",
        ),
        ({"LIVERMORE_KEY_TAGS": "1"}, "exchange:{7}:lock pacing:h django asgi"),
        ({"REDIS_URL": "redis+cluster://h:1"}, "exchange:{7}:lock pacing:h django asgi"),
        ({"REDIS_URL": "rediss+cluster://h:1"}, "exchange:{7}:lock pacing:h django asgi"),
    ],
)
def test_the_settings_make_the_names(variables, expected):
    assert names(**variables) == expected.split()


def test_a_process_has_the_names_of_all_of_its_settings():
    prefixes = {"LIVERMORE_KEY_PREFIX": "lm:", "LIVERMORE_PACING_PREFIX": "all:"}
    expected = "lm:exchange:{7}:lock all:pacing:h lm:django lm:asgi"
    assert process(**prefixes, LIVERMORE_KEY_TAGS="1") == expected.split()


REFUSED = "{} is up to 64 of A-Z a-z 0-9 . _ : / -, as in livermore:"


@pytest.mark.parametrize("prefix", ["a{b}", "a*", "a b", "ü", "a" * 65, "a\n"])
@pytest.mark.parametrize("name", ["LIVERMORE_KEY_PREFIX", "LIVERMORE_PACING_PREFIX"])
def test_a_prefix_that_is_none_is_refused(name, prefix):
    with pytest.raises(ImproperlyConfigured) as refused:
        settings_of(**{name: prefix})
    assert str(refused.value) == REFUSED.format(name)


@pytest.mark.parametrize("name", ["LIVERMORE_KEY_PREFIX", "LIVERMORE_PACING_PREFIX"])
def test_no_process_begins_with_it(name):
    assert process(**{name: "a{b}"}).endswith(REFUSED.format(name))
