"""Which variables an account may name as its keys."""

import pytest

from exchanges.key_names import validate_env_name
from exchanges.venues import VENUES
from tests.exchanges.test_validators import refusal


@pytest.fixture(autouse=True)
def prefixes_allowed(settings):
    settings.LIVERMORE_KEY_ENV_PREFIXES = ["BINANCE_", "LIVERMORE_KEY_"]


@pytest.mark.parametrize("name", ["BINANCE_US_KEY", "LIVERMORE_KEY_1", "BINANCE_2"])
def test_an_allowed_variable_name_is_accepted(name):
    validate_env_name(name)


@pytest.mark.parametrize("name", ["DATABASE_URL", "PATH", "COINBASE_KEY", "MY_BINANCE_KEY"])
def test_a_variable_outside_the_prefixes_is_refused(name):
    assert "LIVERMORE_KEY_ENV_PREFIXES" in refusal(validate_env_name, name)


@pytest.mark.parametrize(
    "secret",
    [
        "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "organizations/6f1e/apiKeys/9d2c",
        "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEE\\n-----END EC PRIVATE KEY-----",
        "BINANCE_" + "A" * 64,
        "BINANCE_KEY\n",
        "binance_key",
        "1234",
    ],
)
def test_a_pasted_key_is_refused_and_not_repeated(secret):
    line = refusal(validate_env_name, secret)
    assert secret not in line
    assert "environment" in line


def test_without_prefixes_every_name_is_refused(settings):
    settings.LIVERMORE_KEY_ENV_PREFIXES = []
    assert refusal(validate_env_name, "BINANCE_KEY")
    assert refusal(validate_env_name, "nonsense")


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_takes_names_of_its_own_and_none_of_another(settings, venue):
    settings.LIVERMORE_KEY_ENV_PREFIXES = []
    for each in VENUES:
        name = f"{each.upper()}_KEY"
        if each == venue:
            validate_env_name(name, venue)
        else:
            assert f"must begin with {venue.upper()}_." in refusal(validate_env_name, name, venue)


def test_the_setting_adds_prefixes_for_any_venue_but_no_venues_own(settings):
    settings.LIVERMORE_KEY_ENV_PREFIXES = ["OURS_", "COIN", "COINBASE_", ""]
    for venue in VENUES:
        validate_env_name("OURS_KEY", venue)
        validate_env_name("COIN_KEY", venue)
    validate_env_name("COINBASE_KEY", "coinbase")
    assert "BINANCE_ or OURS_" in refusal(validate_env_name, "COINBASE_KEY", "binance")


@pytest.mark.parametrize(
    "name",
    [
        "LIVERMORE_SECRET_KEY",
        "LIVERMORE_PROXY_A",
        "LIVERMORE_KEY_ENV_PREFIXES",
        "LIVERMORE_KEY_PREFIX",
        "LIVERMORE_KEY_TAGS",
    ],
)
def test_no_setting_of_ours_is_a_key_whatever_is_allowed(settings, name):
    settings.LIVERMORE_KEY_ENV_PREFIXES = ["LIVERMORE_"]
    validate_env_name("LIVERMORE_KEY_A", "binance")
    assert "setting of Livermore" in refusal(validate_env_name, name, "binance")
