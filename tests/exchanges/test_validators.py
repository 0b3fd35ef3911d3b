import re
import subprocess
import sys

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from exchanges.validators import (
    validate_proxy,
    validate_rest_url,
    validate_ws_url,
)


def refusal(validate, *values):
    """Return the line a person sees; fails if the value is accepted."""
    with pytest.raises(ValidationError) as caught:
        validate(*values)
    (line,) = caught.value.messages
    assert "\n" not in line
    return line


@pytest.fixture(autouse=True)
def hosts_allowed(settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1", "Sandbox.Lan", "[::1]"]
    settings.LIVERMORE_KEY_ENV_PREFIXES = ["BINANCE_", "LIVERMORE_KEY_"]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com",
        "https://api.coinbase.com/api/v3/brokerage",
        "HTTPS://API.BINANCE.US",
        "https://8.8.8.8:8443",
        "http://127.0.0.1:8899",
        "https://127.0.0.1",
        "http://sandbox.lan",
        "http://[::1]:8899",
        "https://xn--e1afmkfd.xn--p1ai",
    ],
)
def test_a_public_or_listed_rest_address_is_accepted(url):
    validate_rest_url(url)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1:8899", "http://127.0.0.1:8899"),
        ("127.0.0.1:8899", "https://127.0.0.1:8899/base"),
        ("127.0.0.1:80", "http://127.0.0.1"),
        ("[::1]:8899", "http://[::1]:8899"),
        ("::1", "http://[::1]:1"),
        ("Box.Lan.:443", "https://box.lan"),
        (" box.lan ", "https://box.lan:9"),
    ],
)
def test_a_listed_host_may_be_named_at_the_ports_that_are_meant(settings, entry, url):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["10.0.0.1", entry]
    validate_rest_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379",
        "http://127.0.0.1:8000",
        "http://127.0.0.1",
        "https://127.0.0.1",
        "http://127.0.0.1.:8898",
        "http://localhost:8899",
        "http://[::1]:8899",
        "http://[::ffff:127.0.0.1]:8899",
        "http://0.0.0.0:8899",
        "http://127.1:8899",
        "http://2130706433:8899",
        "http://0x7f000001:8899",
        "http://0177.0.0.1:8899",
    ],
)
@pytest.mark.parametrize("kind", ["rest", "ws"])
def test_no_other_place_on_this_machine_may_be_named_than_the_one_listed(settings, url, kind):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1:8899"]
    if kind == "rest":
        line = refusal(validate_rest_url, url)
    else:
        line = refusal(validate_ws_url, url.replace("http", "ws"))
    assert "LIVERMORE_PRIVATE_EXCHANGE_HOSTS" in line


def test_who_names_another_port_is_told_which_one_is_allowed(settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["127.0.0.1:8899"]
    assert refusal(validate_rest_url, "http://127.0.0.1:6379") == (
        "127.0.0.1 is a private, local or reserved address, allowed at port 8899 alone. Use a "
        "public host name, or add 127.0.0.1:6379 to LIVERMORE_PRIVATE_EXCHANGE_HOSTS if it is "
        "meant."
    )


def test_by_itself_the_sandboxs_own_address_alone_is_listed():
    code = (
        "import os; os.environ.pop('LIVERMORE_PRIVATE_EXCHANGE_HOSTS', None);"
        "from livermore import settings;"
        "print(settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS, settings.SANDBOX_PORT)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (port,) = re.findall(r"\d+$", ran.stdout.strip())
    assert ran.stdout == f"['127.0.0.1:{port}'] {port}\n"


def test_a_websocket_address_has_its_own_schemes():
    validate_ws_url("wss://stream.binance.com:9443")
    validate_ws_url("ws://127.0.0.1:8899")
    assert "wss://" in refusal(validate_ws_url, "https://stream.binance.com")
    assert "https://" in refusal(validate_rest_url, "wss://stream.binance.com")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "api.localhost",
        "redis",
        "box.local",
        "metadata.google.internal",
        "127.0.0.2",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "127.0.0.2.",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::a00:1]",  # RFC 8215, for networks of one's own
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[fec0::1]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "134744072",
        "①②⑦.0.0.2",
        "127。0。0。2",
        "%31%32%37.0.0.2",
        "1.2.3.4.5",
    ],
)
def test_a_host_that_may_be_private_is_refused_unless_listed(host):
    line = refusal(validate_rest_url, f"https://{host}/api")
    assert "LIVERMORE_PRIVATE_EXCHANGE_HOSTS" in line


def test_plain_http_is_refused_for_a_public_host():
    assert "use https://" in refusal(validate_rest_url, "http://api.binance.com")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.binance.com",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://api.binance.com:0",
        "https://api.binance.com:99999",
        "https://api.binance.com:port",
        "https://[::1",
        "https://api.binance.com?x=1",
        "https://api.binance.com#x",
        "https://api.binance.com?",
        "https://api.binance.com/\n",
        "https://api.bin ance.com",
        "https://api.binance.com\\@127.0.0.1",
        "https://api.binance.com\u200b",
    ],
)
def test_what_is_no_address_is_refused(url):
    assert refusal(validate_rest_url, url)


def test_credentials_in_an_address_are_refused_and_not_repeated():
    line = refusal(validate_rest_url, "https://user:hunter2@api.binance.com")
    assert "password" in line
    assert "hunter2" not in line


@given(st.text())
def test_any_text_is_accepted_or_refused_in_one_line(text):
    for value in (text, f"https://{text}", f"https://{text}@127.0.0.1"):
        try:
            validate_rest_url(value)
        except ValidationError as error:
            assert len(error.messages) == 1
            assert len(error.messages[0].splitlines()) == 1


@given(st.ip_addresses(v=4))
def test_no_private_address_passes_in_any_spelling(address):
    if (address.is_global and not address.is_multicast) or str(address) == "127.0.0.1":
        return
    number = int(address)
    for host in (address, number, hex(number), f"0{number:o}", f"[::ffff:{address}]"):
        assert refusal(validate_rest_url, f"https://{host}")


@pytest.mark.parametrize(
    "text",
    [
        "http://proxy.example.org:3128",
        "https://proxy.example.org:3129",
        "socks5h://10.1.2.3:1080",
        "SOCKS5H://Localhost:1080/",
        "http://[::1]:7890",
        "http://192.168.1.1:8080",
        "http://[fd00::1]:8080",
        "http://squid:3128",
        "LIVERMORE_PROXY_A",
        "LIVERMORE_PROXY_OFFICE_2",
    ],
)
def test_a_proxy_may_be_anywhere_or_in_a_variable(text):
    validate_proxy(text)


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1:7890", "http://proxy.example.org", "http://:3128", "http://proxy:0", "proxy"),
        *("ftp://proxy:21", "socks4://proxy:1080", "socks5://proxy:1080", "http://proxy:99999"),
        *(
            "http://proxy:3128/path",
            "http://proxy:3128?x=1",
            "http://proxy:3128#x",
            "http://p:3128 ",
        ),
        *("http://ada@proxy:3128", "http://ada:hidden@proxy:3128", "http://:@proxy:3128", "@"),
        *(
            "HTTPS_PROXY",
            "LIVERMORE_PROXY_",
            "livermore_proxy_a",
            "LIVERMORE_PROXY_a",
            "COINBASE_KEY",
        ),
        *(
            "http://169.254.169.254:80",
            "http://[fe80::1]:80",
            "http://0.0.0.0:80",
            "http://[::]:80",
        ),
        *("http://0x7f000001:80", "http://127.1:80", "http://224.0.0.1:80", "http://240.0.0.1:80"),
        *(
            "http://bad_host!:80",
            "http://пример:80",
            "http://a\nb:80",
            "http://[::ffff:169.254.1.1]:80",
        ),
    ],
)
def test_what_is_no_proxy_is_refused_in_a_line_that_repeats_nothing(text):
    line = refusal(validate_proxy, text)
    assert "hidden" not in line
    assert "ada" not in line


def test_a_proxy_where_none_can_be_may_be_listed(settings):
    settings.LIVERMORE_PRIVATE_EXCHANGE_HOSTS = ["169.254.1.1"]
    validate_proxy("http://169.254.1.1:3128")


@given(st.text(max_size=60))
def test_whatever_is_written_as_a_proxy_is_judged(text):
    try:
        validate_proxy(text)
    except ValidationError as error:
        assert error.messages
