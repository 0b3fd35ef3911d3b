"""What a deployment sets is taken as it is."""

import json
import os
import subprocess
import sys

import pytest

from tests.warmup.runners import ROOT

SECRETS = ("LIVERMORE_SECRET_KEY", "LIVERMORE_METRICS_TOKEN")
TELL = """
import json, sys
from livermore import settings
print(json.dumps([settings.SECRET_KEY, settings.LIVERMORE_METRICS_TOKEN]))
"""


@pytest.mark.parametrize("text", ["$HOME", "$a#7", "$", r"\$x", "a$HOME", " x "])
def test_a_secret_is_what_was_set_whatever_it_begins_with(text):
    """A random key of Django's begins with a dollar sign one time in fifty."""
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        env=os.environ | dict.fromkeys(SECRETS, text),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [text, text], done.stderr


@pytest.mark.parametrize("text", ["127.0.0.1:8010", "ftp://there", "http://", "http://a/?b=c"])
def test_where_serve_is_has_to_be_an_address(text):
    done = subprocess.run(
        [sys.executable, "-c", "from livermore import settings"],
        env=os.environ | {"LIVERMORE_SERVE_URL": text},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "LIVERMORE_SERVE_URL is where programs reach `serve`" in done.stderr
