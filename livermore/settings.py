"""Django's settings. Everything a deployment sets comes from the environment: docs/settings.md."""

import os
from importlib.util import find_spec
from pathlib import Path
from re import fullmatch

import environ
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from livermore.database_url import checked
from livermore.running.embedded_redis import socket_url
from livermore.running.preflight import sandbox_port
from livermore.web.origin import normal

env = environ.Env()


def _text(name: str, default: str = "") -> str:
    """Return a variable as it is: the library takes one that begins with $ for another's name."""
    return os.environ.get(name, default)


BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
SANDBOX_PORT = sandbox_port(VAR_DIR)
SECRET_KEY_FILE = VAR_DIR / "secret-key"


def _secret_key() -> str:
    """Return the configured key, else the one `./run` keeps, else one for this process alone."""
    if configured := _text("LIVERMORE_SECRET_KEY"):
        return configured
    if SECRET_KEY_FILE.exists():
        return SECRET_KEY_FILE.read_text().strip()
    return get_random_secret_key()


def _flag(name: str) -> bool:
    """Return whether a variable says yes; what says neither yes nor no must not count as no."""
    text = _text(name).strip().lower()
    if text in env.BOOLEAN_TRUE_STRINGS:
        return True
    if text in ("", "false", "off", "n", "no", "0"):
        return False
    raise ImproperlyConfigured(f"{name} is one of true, false")


SECRET_KEY = _secret_key()
DEBUG = _flag("LIVERMORE_DEBUG")
ALLOWED_HOSTS = env.list("LIVERMORE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

LIVERMORE_PRIVATE_EXCHANGE_HOSTS = env.list(
    "LIVERMORE_PRIVATE_EXCHANGE_HOSTS", default=[f"127.0.0.1:{SANDBOX_PORT}"]
)
LIVERMORE_KEY_ENV_PREFIXES = env.list("LIVERMORE_KEY_ENV_PREFIXES", default=[])
LIVERMORE_CA_FILE = _text("LIVERMORE_CA_FILE")
LIVERMORE_METRICS_TOKEN = _text("LIVERMORE_METRICS_TOKEN")

# -- HTTPS, where others reach this server

LIVERMORE_HTTPS = _flag("LIVERMORE_HTTPS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LIVERMORE_HTTPS
# Who asks these stands beside this server, not before it. A redirect would not save the token of
# who asks for metrics over HTTP: by then it was sent.
SECURE_REDIRECT_EXEMPT = [r"(^|/)health/((live|ready)/)?$", r"(^|/)metrics$"]
_hsts_seconds = _text("LIVERMORE_HSTS_SECONDS") or "3600"
if not (_hsts_seconds.isascii() and _hsts_seconds.isdigit()):
    raise ImproperlyConfigured("LIVERMORE_HSTS_SECONDS is a number of seconds, such as 31536000")
SECURE_HSTS_SECONDS = int(_hsts_seconds) if LIVERMORE_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = LIVERMORE_HTTPS
# Browsers' preload lists are hard to leave, so that is for a domain's owner to decide, elsewhere.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
LIVERMORE_BEHIND_PROXY = _flag("LIVERMORE_BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if LIVERMORE_BEHIND_PROXY else None
CSRF_TRUSTED_ORIGINS = [
    normal(origin) or origin for origin in env.list("LIVERMORE_TRUSTED_ORIGINS", default=[])
]

# -- Below a path of a host that has other things too

LIVERMORE_ROOT_PATH = _text("LIVERMORE_ROOT_PATH").rstrip("/")
if not fullmatch(r"(/[A-Za-z0-9._~-]+)*", LIVERMORE_ROOT_PATH):
    raise ImproperlyConfigured("LIVERMORE_ROOT_PATH is a path such as /livermore")
FORCE_SCRIPT_NAME = LIVERMORE_ROOT_PATH or None
if LIVERMORE_ROOT_PATH:  # what else is on that host may have cookies of the usual names
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "livermore_sessionid", "livermore_csrftoken"
    SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LIVERMORE_ROOT_PATH

LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
CSRF_FAILURE_VIEW = "livermore.web.client_errors.csrf_failure"

INSTALLED_APPS = [
    "livermore.admin_app.LimitedAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "livermore",
    "exchanges",
    "warmup",
    "serving",
    "history",
    "alerts",
]

MIDDLEWARE = [
    "livermore.web.origins.without_usual_port",
    "livermore.web.content_security.content_security",
    "livermore.web.malformed_requests.MalformedRequests",
    "django.middleware.security.SecurityMiddleware",
    "livermore.web.static_files.StaticFilesMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # of varying length, so that it tells no secrets
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "livermore.urls"
ASGI_APPLICATION = "livermore.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "livermore.context.version",
            ],
        },
    },
]

# -- Database

DATABASE_URL = _text("DATABASE_URL") or f"sqlite:///{VAR_DIR}/livermore.sqlite3"
DATABASES = {"default": env.db_url_config(checked(DATABASE_URL))}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock when a transaction begins: two of them queue up for `timeout`
    # seconds, where the default would fail in the middle with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:  # a server that is gone without a word would else hang whoever asks whether it is there
    for _option, _seconds in {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,  # in milliseconds
    }.items():
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault(_option, _seconds)
    # Such a cursor is gone where a pooler gives each transaction another connection.
    DATABASES["default"].setdefault("DISABLE_SERVER_SIDE_CURSORS", True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- History: years of candles, in files

HISTORY = _text("LIVERMORE_HISTORY") or str(VAR_DIR / "history")
HISTORY_IS_NAMED = bool(_text("LIVERMORE_HISTORY"))
_history_seconds = _text("LIVERMORE_HISTORY_SECONDS") or "600"
if not fullmatch(r"[1-9][0-9]{0,3}", _history_seconds):
    raise ImproperlyConfigured("LIVERMORE_HISTORY_SECONDS is a number of seconds from 1 to 9999")
LIVERMORE_HISTORY_SECONDS = int(_history_seconds)

_audit_hour = _text("LIVERMORE_AUDIT_HOUR") or "3"
if not fullmatch(r"off|1?[0-9]|2[0-3]", _audit_hour):
    raise ImproperlyConfigured("LIVERMORE_AUDIT_HOUR is an hour in UTC from 0 to 23, or off")
AUDIT_HOUR = None if _audit_hour == "off" else int(_audit_hour)

# -- Redis: candles, Django's cache and the channel layer

EMBEDDED_REDIS_DIR = None if _text("REDIS_URL") else VAR_DIR / "valkey"
REDIS_URL = _text("REDIS_URL") or socket_url(VAR_DIR / "valkey")


def _prefix(name: str, default: str = "") -> str:
    """Return what names begin with: no braces, which make a tag, and nothing that a pattern has."""
    prefix = _text(name, default)
    if not fullmatch(r"[A-Za-z0-9._:/-]{0,64}", prefix):
        raise ImproperlyConfigured(f"{name} is up to 64 of A-Z a-z 0-9 . _ : / -, as in livermore:")
    return prefix


LIVERMORE_KEY_PREFIX = _prefix("LIVERMORE_KEY_PREFIX")
LIVERMORE_PACING_PREFIX = _prefix("LIVERMORE_PACING_PREFIX", LIVERMORE_KEY_PREFIX)
_is_cluster = REDIS_URL.partition("://")[0].endswith("+cluster")
LIVERMORE_KEY_TAGS = _flag("LIVERMORE_KEY_TAGS") or _is_cluster

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": [REDIS_URL],  # a text would be cut at its commas
        "KEY_PREFIX": f"{LIVERMORE_KEY_PREFIX}django",
        "OPTIONS": {"CONNECTION_FACTORY": "exchanges.redis.client.Connections"},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "exchanges.redis.channel_layer.ChannelLayer",
        "CONFIG": {"url": REDIS_URL, "prefix": f"{LIVERMORE_KEY_PREFIX}asgi"},
    }
}

# -- Users, language, static files

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "livermore.web.path_prefix.StaticFiles"},
}
# Lightweight Charts' own script, out of the package that carries it: found without importing it.
CHARTS_DIR = Path(find_spec("litecharts").origin).parent / "js"
STATICFILES_DIRS = [BASE_DIR / "static", ("lightweight-charts", CHARTS_DIR)]
WHITENOISE_USE_FINDERS = True  # straight from the packages: no collectstatic before a start

# Where programs reach `serve`, for links to it; empty: not known here.
LIVERMORE_SERVE_URL = _text("LIVERMORE_SERVE_URL").rstrip("/")
if LIVERMORE_SERVE_URL and not fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", LIVERMORE_SERVE_URL):
    raise ImproperlyConfigured(
        "LIVERMORE_SERVE_URL is where programs reach `serve`, such as http://127.0.0.1:8010"
    )

# -- Agents

_processes = _text("LIVERMORE_AGENT_PROCESSES")
if _processes and not fullmatch(r"[0-9]{1,3}", _processes):
    raise ImproperlyConfigured(
        "LIVERMORE_AGENT_PROCESSES is a number of processes, such as 4; with 0 there is but one"
    )
LIVERMORE_AGENT_PROCESSES = int(_processes) if _processes else max(4, os.cpu_count() or 1)

# -- Moving exchanges

_handover_seconds = _text("LIVERMORE_HANDOVER_SECONDS") or "4"
if not fullmatch(r"\d{1,2}(\.\d+)?", _handover_seconds):
    raise ImproperlyConfigured("LIVERMORE_HANDOVER_SECONDS is a number of seconds below 100")
LIVERMORE_HANDOVER_SECONDS = float(_handover_seconds)

# -- Alerts

LIVERMORE_DEAD_MAN_URL = _text("LIVERMORE_DEAD_MAN_URL")
if LIVERMORE_DEAD_MAN_URL and not fullmatch(r"https?://\S+", LIVERMORE_DEAD_MAN_URL):
    raise ImproperlyConfigured("LIVERMORE_DEAD_MAN_URL is an address that begins with https://")

# -- Logging: event first, then key=value

LOG_LEVEL = _text("LIVERMORE_LOG_LEVEL", "WARNING").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR"):
    raise ImproperlyConfigured("LIVERMORE_LOG_LEVEL is one of DEBUG, INFO, WARNING, ERROR")

LOG_FORMAT = _text("LIVERMORE_LOG_FORMAT", "text").lower()
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured("LIVERMORE_LOG_FORMAT is one of text, json")

OUR_LOGGERS = ("livermore", "exchanges", "warmup", "history", "serving", "alerts")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "class": "livermore.observing.logs.TextFormatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        },
        "json": {"class": "livermore.observing.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["in_brief", "foreign_lines"],
        },
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": LOG_LEVEL} for name in OUR_LOGGERS},
        "livermore.observing.access_log": {"level": "INFO"},
        # Django gives these handlers of its own, which know neither format nor secrets.
        "django": {"handlers": [], "level": "WARNING"},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
        # It quotes headers that it can't read, which may be anybody's words; ours tell the failure.
        "urllib3": {"level": "ERROR"},
        # It quotes addresses, which are secrets; what came of a message is told by ours.
        "apprise": {"level": "WARNING", "handlers": ["nowhere"], "propagate": False},
    },
    "filters": {
        "in_brief": {
            "()": "livermore.observing.logs.BriefTracebacks",
            "of": ["django.", "channels", "daphne.", "asgiref."],
        },
        "foreign_lines": {"()": "livermore.observing.logs.ForeignLines", "ours": OUR_LOGGERS},
    },
}

DEFAULT_EXCEPTION_REPORTER = "livermore.observing.error_pages.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "livermore.observing.error_pages.Filter"
