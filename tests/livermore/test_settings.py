"""What a deployment sets is taken as it is."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.fixtures.settings import settings_of

SECRETS = ("LIVERMORE_SECRET_KEY", "LIVERMORE_METRICS_TOKEN")


@pytest.mark.parametrize("text", ["$HOME", "$a#7", "$", r"\$x", "a$HOME", " x "])
def test_a_secret_is_what_was_set_whatever_it_begins_with(text):
    """A random key of Django's begins with a dollar sign one time in fifty."""
    found = settings_of(**dict.fromkeys(SECRETS, text))
    assert (found["SECRET_KEY"], found["LIVERMORE_METRICS_TOKEN"]) == (text, text)


@pytest.mark.parametrize("text", ["127.0.0.1:8010", "ftp://there", "http://", "http://a/?b=c"])
def test_where_serve_is_has_to_be_an_address(text):
    with pytest.raises(ImproperlyConfigured, match="LIVERMORE_SERVE_URL is where programs reach"):
        settings_of(LIVERMORE_SERVE_URL=text)
