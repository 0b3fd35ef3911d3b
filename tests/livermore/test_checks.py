import pytest
from django.core.exceptions import ImproperlyConfigured

from exchanges.transport.certificates import USUAL
from livermore import checks
from livermore.database_url import checked
from tests.fixtures.sentinels import Sentinels
from tests.livermore.databases import manage


def ids(check):
    return [message.id for message in check()]


@pytest.mark.parametrize("url", ["localhost:6379", "http://host", "redis://host:port/0", "unix://",
     "redis://:pass/word@host:6379/0", "redis://:pass#word@host:6379/0", "unix://:pass/word@/path"],
)  # fmt: skip
def test_a_malformed_redis_url_is_refused(settings, url):
    settings.REDIS_URL = url
    assert ids(checks.check_redis_url) == ["livermore.E001"]


def test_a_refused_redis_url_is_not_repeated(settings):
    settings.REDIS_URL = "redis://:secret@host:port"
    assert "secret" not in str(list(checks.check_redis_url()))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host/0?bogus=1", "option bogus"),
        ("unix:///a?db=0&hostt=1", "option hostt"),
        ("redis://host/0?ssl_ca_certs=/ca.pem", "option ssl_ca_certs"),
        ("rediss://host/0?ssl_ca_certs=/not/there.pem", "ssl_ca_certs, and no file"),
        ("rediss://host/0?ssl_cert_reqs=maybe", "option ssl_cert_reqs with a value"),
        ("redis://host/0?socket_timeout=long", "option socket_timeout with a value"),
        ("redis://host/zz", "number"),
        ("redis://host/0/1x", "number"),
        ("redis://:12#secret@host/0", "#"),
        ("redis://:12/secret@host/0", "number"),
        ("redis://:12?secret=x@host/0", "an option"),
        ("redis+sentinel://:secret@h1,h2/", "name the master"),
        ("redis+sentinel://:secret@h1,h2/m?sentinel_user=secret", "option sentinel_"),
        ("redis+sentinel://h1/m?bogus=1", "option bogus"),
        ("redis+cluster://h1/?ssl_ca_certs=/ca.pem", "option ssl_ca_certs"),
        ("redis+cluster://h1/?sentinel_password=secret", "option sentinel_password"),
        ("redis://:secret@h1:1,h2:2/0", "several hosts"),
    ],
)
def test_what_of_a_redis_url_can_not_work_is_named_but_no_password(settings, url, told):
    settings.REDIS_URL = url
    (error,) = checks.check_redis_url()
    assert error.id == "livermore.E001"
    assert told in error.msg
    assert "secret" not in f"{error}"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgres://u:p@host/name?bogus=1", "option bogus"),
        ("postgres://u:p@host/name?sslmod=require", "option sslmod,"),
        ("sqlite:////a/b.sqlite3?timeout=5", "option timeout"),
        ("postgres://u:p@host/name?connect_timeout=long", "option connect_timeout with a value"),
        ("postgres://u:p@host/name?conn_max_age=long", "option conn_max_age with a value"),
        ("postgres://u:12#secret@host/name", "%23"),
        ("postgres://u:12?secret@host/name", "%XX"),
        ("postgres://u:12/a?secret=1@host/name", "an option"),
    ],
)
def test_what_of_a_database_url_can_not_work_is_named_but_no_password(url, told):
    with pytest.raises(ImproperlyConfigured) as error:
        checked(url)
    assert told in str(error.value)
    assert "DATABASE_URL" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("command", [["check"], ["exchange"], ["warmup", "sandbox", "--plan"]])
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://127.0.0.1:1/0?bogus=1"),
        ("DATABASE_URL", "postgres://u:p@127.0.0.1:1/name?bogus=1"),
    ],
)
def test_every_command_names_the_variable_and_the_option_that_can_not_work(name, url, command):
    done = manage("", *command, **{name: url})
    assert done.returncode == 1
    assert f"{name} has the option bogus" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    with Sentinels(tmp_path_factory.mktemp("sentinels")) as watched:
        yield watched


@pytest.mark.parametrize("command", [["check"], ["warmup", "sandbox", "--plan"], ["web"]])
def test_a_sentinel_behind_a_plain_address_is_said_before_anything_is_done(watched, command):
    done = manage("", *command, REDIS_URL=f"redis://{watched.sentinels[0].place}/0")
    assert done.returncode == 1
    assert "REDIS_URL names a Sentinel, which keeps no data." in done.stderr
    assert f"redis+sentinel://{watched.sentinels[0].place}," in done.stderr
    assert "Traceback" not in done.stderr


def test_a_replica_behind_a_plain_address_is_a_warning_and_no_command_begins(watched):
    url = f"redis://{watched.replicas()[0].place}/0"
    done = manage("", "check", REDIS_URL=url)
    assert done.returncode == 0
    assert "(livermore.W023) REDIS_URL names a replica" in done.stderr
    done = manage("", "warmup", "sandbox", "--plan", REDIS_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "REDIS_URL names a replica, which takes no writes." in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:6379/0",
        "redis://host",
        "redis://host/",
        "rediss://u:p@host",
        "unix:///a b?db=0",
        "unix://u:p@/a@b",
        "redis://host/?db=3&password=a@b&socket_timeout=3.5&max_connections=9&protocol=2",
        f"rediss://u:p@host/1?ssl_ca_certs={__file__}&ssl_cert_reqs=required",
        "redis+sentinel://u:p@h1:1,h2,[::1]:3/m/0?sentinel_password=a&socket_timeout=3",
        f"rediss+cluster://u:p@h1:1,h2/?ssl_ca_certs={__file__}",
    ],
)
def test_a_usable_redis_url_passes(settings, url):
    settings.REDIS_URL = url
    assert ids(checks.check_redis_url) == []


def test_a_server_for_others_needs_a_secret_key(settings, monkeypatch):
    monkeypatch.delenv("LIVERMORE_SECRET_KEY", raising=False)
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["localhost", "livermore.example.org"]
    assert ids(checks.check_secret_key) == ["livermore.E002"]
    monkeypatch.setenv("LIVERMORE_SECRET_KEY", "x" * 50)
    assert ids(checks.check_secret_key) == []


def test_a_server_for_this_machine_alone_needs_none(settings, monkeypatch):
    monkeypatch.delenv("LIVERMORE_SECRET_KEY", raising=False)
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "a.localhost"]
    assert ids(checks.check_secret_key) == []


def test_any_host_is_a_warning(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(checks.check_allowed_hosts) == ["livermore.W003"]


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("*", False),
        (".example.org", False),
        ("livermore.example.org", False),
        ("[::1]", False),
        ("https://livermore.example.org", True),
        ("livermore.example.org:8000", True),
        ("livermore.example.org/", True),
        ("", True),
    ],
)
def test_an_allowed_host_is_a_name_alone(settings, host, refused):
    settings.ALLOWED_HOSTS = [host]
    assert bool(ids(checks.check_host_names)) is refused


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ("https://livermore.example.org", False),
        ("http://127.0.0.1:8000", False),
        ("https://*.example.org", False),
        ("livermore.example.org", True),
        ("https://livermore.example.org/", True),
        ("wss://livermore.example.org", True),
        ("null", True),
    ],
)
def test_a_trusted_origin_is_scheme_name_and_port(settings, origin, refused):
    settings.CSRF_TRUSTED_ORIGINS = [origin]
    assert bool(ids(checks.check_trusted_origins)) is refused


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("127.0.0.1", False),
        ("[::1]", False),
        ("sandbox.internal", False),
        ("https://host", True),
        ("127.0.0.1:8899", False),
        ("[::1]:8899", False),
        ("::1", False),
        ("host:8899", False),
        ("host:", True),
        ("host:0", True),
        ("host:65536", True),
        ("host:http", True),
        (":8899", True),
        ("http://host:8899", True),
        ("10.0.0.0/8", True),
        ("*.internal", True),
        ("", True),
    ],
)
def test_a_private_exchange_host_is_a_host_alone_or_with_a_port(settings, host, refused):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = [host]
    assert bool(ids(checks.check_private_exchange_hosts)) is refused


@pytest.mark.parametrize(
    ("prefix", "refused"), [("BINANCE_", False), ("", True), ("binance_", True), ("A-B", True)]
)
def test_a_key_prefix_begins_a_variables_name(settings, prefix, refused):
    settings.LIVERMORE_KEY_ENV_PREFIXES = [prefix]
    assert bool(ids(checks.check_key_env_prefixes)) is refused


@pytest.mark.parametrize(
    "url", ["foo://host/db", "nonsense", "postgres://", "postgres://u:secret@host:port/db"]
)
def test_a_malformed_database_url_is_refused_without_repeating_it(url):
    with pytest.raises(ImproperlyConfigured) as error:
        checked(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p%40@host:5432/db",
        "sqlite:////a/b.sqlite3",
        "sqlite:////a/b.sqlite3?conn_max_age=60",
        "postgresql:///db",
        "postgres:///name?host=/var/run/postgresql&port=5433&CONN_MAX_AGE=None",
        "postgres://h/name?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3",
    ],
)
def test_a_usable_database_url_passes(url):
    assert checked(url) == url


@pytest.fixture
def services_file(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "livermore.env"


def test_a_terminal_without_the_services_settings_is_warned(services_file, monkeypatch):
    services_file.write_text("LIVERMORE_LOG_LEVEL=INFO\nDATABASE_URL=postgres://u:secret@h/n\n")
    (message,) = checks.check_services_settings()
    assert (message.id, "DATABASE_URL" in message.msg) == ("livermore.W007", True)
    assert "REDIS_URL" not in message.msg
    assert "secret" not in str(message)
    monkeypatch.setenv("DATABASE_URL", "sqlite:////elsewhere")  # on purpose, then
    assert ids(checks.check_services_settings) == []


@pytest.mark.parametrize("text", ["", "#REDIS_URL=redis://h\n", "REDIS_URL=\n", "MY_REDIS_URL=x\n"])
def test_settings_that_name_neither_warn_of_nothing(services_file, text):
    services_file.write_text(text)
    assert ids(checks.check_services_settings) == []


def test_without_services_there_is_nothing_to_warn_of(services_file):
    assert ids(checks.check_services_settings) == []
    services_file.mkdir()  # as unreadable as another user's
    assert ids(checks.check_services_settings) == []


def test_a_file_of_certificates_that_is_none_is_told(settings, monkeypatch):
    for name in USUAL:
        monkeypatch.delenv(name, raising=False)
    assert ids(checks.check_certificates) == []
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nonexistent.pem")
    assert ids(checks.check_certificates) == ["livermore.W010"]  # which is others', too
    settings.LIVERMORE_CA_FILE = "/missing.pem"
    [found] = checks.check_certificates()
    assert found.id == "livermore.E009"
    assert found.msg.startswith("LIVERMORE_CA_FILE names /missing.pem, which can't be read")
