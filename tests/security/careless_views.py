"""Pages that fail with secrets in their hands, beside those of the web server."""

import base64
import os
from contextlib import closing

import psycopg
import redis as redis_client
from django.conf import settings as django_settings
from django.urls import include, path
from django_redis import get_redis_connection

from exchanges.adapters import open_rest
from exchanges.credentials import find_credentials
from exchanges.models import Exchange
from exchanges.venues.coinbase.signing import Signer
from tests.security.canaries import DECODED, KEY, PASSPHRASE, REDIS_USER, SECRET


def careless(request):
    """Hold every secret in a local variable, and say some of them in an error."""
    planted = {name: os.environ[name] for name in (KEY, SECRET, PASSPHRASE, "REDIS_URL")}
    everything = dict(os.environ)
    credentials = find_credentials(Exchange.objects.get(name="coinbase"))
    key, secret = credentials.key, credentials.secret
    options = get_redis_connection("default").connection_pool.connection_kwargs
    addresses = (django_settings.DATABASE_URL, django_settings.REDIS_URL)
    cut_in_it = 4060 * "x" + django_settings.LIVERMORE_METRICS_TOKEN  # Django shows 4096 characters
    token = Signer(key, secret)("host/path")
    raise RuntimeError(planted, everything, options, addresses, token, cut_in_it[-9:])


def signing(request):
    Signer(os.environ[KEY], os.environ[SECRET] + "spoilt")


def decoding(request):
    Signer(os.environ[KEY], base64.b64encode(DECODED).decode())


def fetching(request):
    with closing(open_rest(Exchange.objects.get(name="coinbase"))) as rest:
        rest.list_symbols()


def refused_by_redis(request):
    redis_client.Redis.from_url(django_settings.REDIS_URL.replace(REDIS_USER, "nobody")).ping()


def refused_by_the_database(request):
    psycopg.connect(django_settings.DATABASE_URL)


FAILING = [signing, decoding, fetching, refused_by_redis, refused_by_the_database]
urlpatterns = [
    *(path(f"{view.__name__}/", view) for view in (careless, *FAILING)),
    path("", include("livermore.urls")),
]
