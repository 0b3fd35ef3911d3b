"""System checks on the settings: what can't work is refused before anything starts."""

import ipaddress
import os
import re
import ssl
from contextlib import suppress

from django.conf import settings
from django.core.checks import Error, Warning, register
from django.db import connection
from django_redis import get_redis_connection
from redis import RedisError

from exchanges.errors import Misconfigured
from exchanges.redis.installation import installation_id, warnings
from exchanges.redis.recognition import misnamed
from exchanges.transport import certificates as trust
from exchanges.transport.listed_hosts import split_listed
from livermore.redis_url import fault_of
from livermore.web.origin import normal

HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?", re.IGNORECASE)
METRICS_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,}")  # what RFC 6750 lets a header hold
KEY_ENV_PREFIX = re.compile(r"[A-Z][A-Z0-9_]*")
SETTINGS = "settings"  # the tag of these checks: all that a command needs that serves no page
WHERE_ALL_IS = ("DATABASE_URL", "REDIS_URL")


@register(SETTINGS)
def check_redis_url(**_options):
    if fault := fault_of(settings.REDIS_URL):
        yield Error(fault[0], hint=fault[1], id="livermore.E001")


@register(SETTINGS)
def check_redis_server(**_options):
    """Ask what is there, as far as somebody answers: another Redis than the address says."""
    if settings.EMBEDDED_REDIS_DIR or fault_of(settings.REDIS_URL):
        return
    if found := misnamed(settings.REDIS_URL):
        if found.passing:
            yield Warning(found.fault, hint=found.remedy, id="livermore.W023")
        else:
            yield Error(found.fault, hint=found.remedy, id="livermore.E022")


@register()
def check_installations(**_options):
    """Warn of others under the same names, as far as the database and Redis are there."""
    if fault_of(settings.REDIS_URL):
        return
    number = installation_id()
    if not connection.in_atomic_block:
        connection.close()  # what begins after this may use none of this thread any more
    with suppress(RedisError):
        for text in warnings(get_redis_connection("default"), number):
            yield Warning(text, id="livermore.W024")


@register(SETTINGS)
def check_secret_key(**_options):
    if settings.DEBUG or os.environ.get("LIVERMORE_SECRET_KEY"):
        return
    if public := [host for host in settings.ALLOWED_HOSTS if not _is_loopback(host)]:
        yield Error(
            f"LIVERMORE_ALLOWED_HOSTS lets others in ({', '.join(public)}), "
            "but LIVERMORE_SECRET_KEY is not set.",
            hint="Set it to 50 or more random characters, the same for every process.",
            id="livermore.E002",
        )


@register(SETTINGS)
def check_allowed_hosts(**_options):
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "LIVERMORE_ALLOWED_HOSTS is '*': any host name is accepted.",
            hint="Name the hosts that browsers use to reach this server.",
            id="livermore.W003",
        )


@register(SETTINGS)
def check_host_names(**_options):
    for host in settings.ALLOWED_HOSTS:
        if host != "*" and not _is_host(host.removeprefix(".")):
            yield Error(
                f"LIVERMORE_ALLOWED_HOSTS holds {host!r}, which is not a host's name.",
                hint="Give the names alone, separated by commas: no scheme, port or path.",
                id="livermore.E008",
            )


@register(SETTINGS)
def check_trusted_origins(**_options):
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not normal(origin):
            yield Error(
                f"LIVERMORE_TRUSTED_ORIGINS holds {origin!r}, which is not a page's origin.",
                hint="Give scheme and name, and a port where it is not the usual one, separated by "
                "commas, such as https://livermore.example.org: no path, no / at the end.",
                id="livermore.E021",
            )


@register(SETTINGS)
def check_private_exchange_hosts(**_options):
    for host in settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS:
        if not _is_host_or_place(host):
            yield Error(
                f"LIVERMORE_PRIVATE_EXCHANGE_HOSTS holds {host!r}, which is not a host.",
                hint="Give host names or IP addresses, separated by commas, each alone or with the "
                "one port that is meant, such as 127.0.0.1:8899 or [::1]:8899: no scheme, path or "
                "wildcard.",
                id="livermore.E004",
            )


@register(SETTINGS)
def check_key_env_prefixes(**_options):
    for prefix in settings.LIVERMORE_KEY_ENV_PREFIXES:
        if not KEY_ENV_PREFIX.fullmatch(prefix):
            yield Error(
                f"LIVERMORE_KEY_ENV_PREFIXES holds {prefix!r}, which begins no variable's name.",
                hint="Give capital letters, digits and _, separated by commas, such as OURS_.",
                id="livermore.E005",
            )


@register(SETTINGS)
def check_certificates(**_options):
    for name, path in trust.named_files().items():
        try:
            trust.load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), name, path)
        except Misconfigured as error:
            kind, number = (Error, "E009") if name == trust.OURS else (Warning, "W010")
            yield kind(f"{error.fault}.", hint=f"To do: {error.remedy}.", id=f"livermore.{number}")


@register(SETTINGS)
def check_metrics_token(**_options):
    token = settings.LIVERMORE_METRICS_TOKEN
    if token and not METRICS_TOKEN.fullmatch(token):
        yield Error(  # does not repeat it
            "LIVERMORE_METRICS_TOKEN is not 16 or more letters, digits and ._~+/=-.",
            hint="Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
            id="livermore.E006",
        )


@register(SETTINGS)
def check_services_settings(**_options):
    """Warn who looks elsewhere than this checkout's services do: a terminal without their file."""
    try:
        text = (settings.VAR_DIR / "livermore.env").read_text(errors="replace")
    except OSError:  # there is none, or it isn't for us
        return
    named = [name for name in WHERE_ALL_IS if re.search(rf"^{name}=.", text, re.MULTILINE)]
    if missing := [name for name in named if name not in os.environ]:
        yield Warning(
            f"var/livermore.env sets {' and '.join(missing)}, and this process was not told: it "
            "works on another database or Redis than the services.",
            hint="Take it into this terminal: set -a; . var/livermore.env; set +a",
            id="livermore.W007",
        )


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return (
        address.is_loopback
        if address
        else host.lower() == "localhost" or host.lower().endswith(".localhost")
    )


def _is_host_or_place(entry: str) -> bool:
    try:
        host, _ = split_listed(entry)
    except ValueError:
        return False
    return _is_host(host)


def _is_host(host: str) -> bool:
    return _address(host) is not None or HOST.fullmatch(host.rstrip(".")) is not None


def _address(host: str):
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
