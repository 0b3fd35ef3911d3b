import pytest

from exchanges.rest.pacing.host import host_of


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.binance.com", "api.binance.com"),
        ("https://API.binance.com:443/path", "api.binance.com"),
        ("http://host:443", "host:443"),
        ("http://127.0.0.1:8899/api", "127.0.0.1:8899"),
        ("", ""),
    ],
)
def test_a_host_is_named_without_the_port_its_scheme_implies(url, host):
    assert host_of(url) == host
