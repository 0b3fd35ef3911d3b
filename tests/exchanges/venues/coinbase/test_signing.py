import base64
import time
import traceback

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP256R1, SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.contrib.auth import get_user_model

from exchanges import credentials
from exchanges.accounts import save_account
from exchanges.errors import BadCredentials
from exchanges.models import Exchange, UserExchange
from exchanges.venues.coinbase.signing import Signer
from livermore.market.timeframe import Timeframe
from tests.exchanges.venues.conftest import NOW_MS, values

ID = "8f1ac569-ed29-48ae-b989-6798a975afab"
NAME = f"organizations/{ID}/apiKeys/87d98ae9-f31f-42ee-9b69-723d3ff9dd77"
URI = "api.coinbase.com/api/v3/brokerage/products"
EC = generate_ec(SECP256R1())
ED25519 = Ed25519PrivateKey.generate()
SEED = ED25519.private_bytes_raw()
TIME = (200, {}, b'{"epochMillis":"1712224800000"}')
NO_CANDLES = (200, {}, b'{"candles":[]}')


def pem(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


FORMS = {
    "ec, sec1": (pem(EC, PrivateFormat.TraditionalOpenSSL), EC),
    "ec, pkcs8": (pem(EC), EC),
    "ec, literal line breaks": (pem(EC).replace("\n", "\\n"), EC),
    "ec, quotes around": (f'"{pem(EC)}"', EC),
    "ec, spaces around": (f"  {pem(EC)}\n\n", EC),
    "ec, windows line breaks": (pem(EC).replace("\n", "\r\n"), EC),
    "ed25519": (pem(ED25519), ED25519),
    "ed25519, literal line breaks": (pem(ED25519).replace("\n", "\\n"), ED25519),
    "ed25519, windows line breaks": (pem(ED25519).replace("\n", "\r\n"), ED25519),
    "ed25519, quotes, literal line breaks": (f'"{pem(ED25519)}"'.replace("\n", "\\n"), ED25519),
    "ed25519, 32 bytes": (base64.b64encode(SEED).decode(), ED25519),
    "ed25519, 32 bytes, line break": (base64.b64encode(SEED).decode() + "\n", ED25519),
    "ed25519, 32 bytes, literal line break": (base64.b64encode(SEED).decode() + "\\n", ED25519),
    "ed25519, 32 bytes, quotes": (f"'{base64.b64encode(SEED).decode()}'", ED25519),
    "ed25519, 64 bytes": (
        base64.b64encode(SEED + ED25519.public_key().public_bytes_raw()).decode(),
        ED25519,
    ),
}


def token_of(headers):
    (name, value), *others = headers.items()
    assert (name, others) == ("Authorization", [])
    return value.removeprefix("Bearer ")


@pytest.mark.parametrize("form", FORMS)
def test_a_token_is_true_by_the_public_key(form):
    secret, key = FORMS[form]
    token = token_of(Signer(NAME, secret)(URI))
    algorithm = "ES256" if key is EC else "EdDSA"
    claims = jwt.decode(token, key.public_key(), algorithms=[algorithm], issuer="cdp")
    assert claims == claims | {"iss": "cdp", "sub": NAME, "uri": f"GET {URI}"}
    assert set(claims) == {"iss", "sub", "nbf", "exp", "uri"}
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["kid"]) == (algorithm, NAME)


def test_a_token_of_another_key_is_not_true():
    token = token_of(Signer(NAME, pem(generate_ec(SECP256R1())))(URI))
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, EC.public_key(), algorithms=["ES256"])


def test_a_token_is_valid_for_two_minutes_from_a_moment_ago():
    claims = jwt.decode(token_of(Signer(NAME, pem(EC))(URI)), options={"verify_signature": False})
    assert claims["exp"] - claims["nbf"] == 120
    assert 0 < time.time() - claims["nbf"] < 30


def test_every_request_has_a_token_of_its_own():
    signer = Signer(NAME, pem(EC))
    nonces = {jwt.get_unverified_header(token_of(signer(URI)))["nonce"] for _ in range(20)}
    assert len(nonces) == 20


REFUSAL = r"neither a PEM private key \(EC P-256 or Ed25519\) nor base64 of an Ed25519 key"
JUNK = {
    "nothing": "",
    "words": "this is no key but it is secret",
    "too short": base64.b64encode(b"s" * 31).decode(),
    "between short and long": base64.b64encode(b"s" * 45).decode(),
    "too long": base64.b64encode(b"s" * 65).decode(),
    "not base64": "é" * 44,
    "undecodable bytes": "-----BEGIN \udcff",
    "an empty pem": "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----",
    "half a pem": pem(EC)[:90],
    "a public key": EC.public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode(),
    "a key on another curve": pem(generate_ec(SECP384R1())),
    "a key of bitcoin's curve": pem(generate_ec(SECP256K1())),
    "an rsa key": pem(generate_rsa(65537, 1024)),
    "an encrypted key": pem(ED25519, encryption=BestAvailableEncryption(b"password")),
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_secret_that_is_no_key_is_refused_without_being_told(kind):
    secret = JUNK[kind]
    with pytest.raises(BadCredentials, match=REFUSAL) as refusal:
        Signer(NAME, secret)
    told = "".join(traceback.format_exception(refusal.value))
    assert not any(line in told for line in secret.split("\n") if line and "---" not in line)
    assert refusal.value.__context__ is None


def test_a_signer_does_not_show_its_key():
    signer = Signer(NAME, FORMS["ed25519, 32 bytes"][0])
    assert FORMS["ed25519, 32 bytes"][0] not in repr(signer)
    assert repr(SEED) not in repr(vars(signer))


# Which requests are signed


@pytest.fixture
def with_keys(monkeypatch):
    """Return a function that gives an exchange row a chosen account whose variables are set."""
    monkeypatch.setattr(credentials, "_TROUBLES", {})

    def with_keys(exchange, secret, key=NAME):
        monkeypatch.setenv("COINBASE_A_KEY", key)
        monkeypatch.setenv("COINBASE_A_SECRET", secret)
        user = get_user_model().objects.create(username="someone")
        account = save_account(
            UserExchange(
                user=user,
                exchange=exchange,
                display_name="mine",
                api_key_env="COINBASE_A_KEY",
                api_secret_env="COINBASE_A_SECRET",
            )
        )
        Exchange.objects.filter(pk=exchange.pk).update(account=account)
        return exchange

    return with_keys


def test_without_keys_the_public_paths_are_called_unsigned(row, adapters, wire):
    exchange = row("coinbase", wire)
    exchange.symbols.create(symbol="A-B", native_symbol="A-B", base="A", quote="B")
    wire.answer(TIME, NO_CANDLES)
    adapters(exchange).get_candles("A-B", "1h", limit=1)
    path, headers = wire.seen[1]
    assert path.startswith("/api/v3/brokerage/market/products/A-B/candles?")
    assert "Authorization" not in headers


@pytest.mark.parametrize("form", ["ec, literal line breaks", "ed25519, 32 bytes"])
def test_with_keys_the_private_twins_are_called_signed(row, adapters, wire, with_keys, form):
    secret, key = FORMS[form]
    exchange = with_keys(row("coinbase", wire), secret)
    exchange.symbols.create(symbol="A-B", native_symbol="A-B", base="A", quote="B")
    wire.answer(TIME, NO_CANDLES)
    adapters(exchange).get_candles("A-B", "1h", limit=1)
    path, headers = wire.seen[1]
    asked = path.partition("?")[0]
    assert asked == "/api/v3/brokerage/products/A-B/candles"
    token = headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, key.public_key(), algorithms=["ES256", "EdDSA"])
    assert claims["uri"] == f"GET {wire.host}{asked}"


@pytest.mark.parametrize("form", FORMS)
def test_the_exchange_takes_the_token(row, adapters, sandbox, with_keys, form):
    rest = adapters(with_keys(row("coinbase", sandbox), FORMS[form][0]))
    end_ms = Timeframe.H1.floor(NOW_MS)
    got = rest.get_candles("BTC-USD", "1h", limit=3)
    start_ms = end_ms - 3 * Timeframe.H1.ms
    assert values(got) == sandbox.market.closed_candles(
        "BTC-USD", Timeframe.H1, start_ms, end_ms, traded_only=True
    )


def test_a_token_that_the_exchange_refuses_costs_no_candle(
    row, adapters, sandbox, with_keys, monkeypatch
):
    forged = {"Authorization": "Bearer e30.e30.e30"}
    monkeypatch.setattr(Signer, "__call__", lambda signer, host_and_path: forged)
    rest = adapters(with_keys(row("coinbase", sandbox), pem(generate_ec(SECP256R1()))))
    assert len(rest.get_candles("BTC-USD", "1h", limit=3)) == 3


NOT_IN_AN_ENVIRONMENT = ("nothing", "undecodable bytes")
OTHER_SHAPES = {
    "words": "this is no key but it is secret",
    "a password": "correct-horse-battery-staple",
    "two ids that are none": "organizations/0000/apiKeys/1111",
    "a line more": f"{NAME}\n",
    "a blank before": f" {NAME}",
    "two names": f"{NAME},{NAME}",
    "quotes around": f'"{NAME}"',
    "something behind": f"{NAME}-and-a-secret",
    "something before": f"secret-{ID}",
    "braces around": f"{{{ID}}}",
    "an id without dashes": ID.replace("-", ""),
    "other digits": ID.replace("8", "\u0668"),
    "another path": NAME.replace("apiKeys", "secrets"),
    "a token": "eyJhbGciOiJFUzI1NiJ9.e30.e30",
    "the secret itself": pem(EC),
    "an address": "redis://:password@127.0.0.1:6379/0",
}


@pytest.mark.parametrize("kind", OTHER_SHAPES)
def test_what_is_no_key_is_not_signed_and_named_by_its_variable(
    row, adapters, wire, with_keys, caplog, kind
):
    value = OTHER_SHAPES[kind]
    exchange = with_keys(row("coinbase", wire), pem(EC), value)
    check_that_all_is_open(exchange, adapters, wire, caplog, "COINBASE_A_KEY", value)


@pytest.mark.parametrize("kind", [kind for kind in JUNK if kind not in NOT_IN_AN_ENVIRONMENT])
def test_what_is_no_secret_signs_nothing_and_is_named_by_its_variable(
    row, adapters, wire, with_keys, caplog, kind
):
    exchange = with_keys(row("coinbase", wire), JUNK[kind])
    check_that_all_is_open(exchange, adapters, wire, caplog, "COINBASE_A_SECRET", JUNK[kind])


def check_that_all_is_open(exchange, adapters, wire, caplog, variable, value):
    wire.answer((200, {}, b'{"products":[]}'))
    for _ in range(2):
        adapters(exchange).list_symbols()
    assert len(wire.seen) == 2
    for path, headers in wire.seen:
        assert path.startswith("/api/v3/brokerage/market/products?")
        assert "Authorization" not in headers
    [line] = [text for text in caplog.messages if "not_used" in text]
    assert line.startswith(f"key.not_used exchange={exchange.name} reason={variable}")
    assert value.strip() not in line


@pytest.mark.parametrize("key", [NAME, ID, ID.upper()])
def test_a_key_in_either_of_coinbases_forms_is_sent(row, adapters, wire, with_keys, key):
    exchange = with_keys(row("coinbase", wire), pem(EC), key)
    wire.answer((200, {}, b'{"products":[]}'))
    adapters(exchange).list_symbols()
    token = wire.seen[0][1]["Authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token)["kid"] == key


def test_no_account_chosen_means_that_nothing_is_signed(row, adapters, wire, with_keys):
    exchange = with_keys(row("coinbase", wire), pem(EC))
    Exchange.objects.update(account=None)
    wire.answer((200, {}, b'{"products":[]}'))
    adapters(exchange).list_symbols()
    [(path, headers)] = wire.seen
    assert path.startswith("/api/v3/brokerage/market/products?")
    assert "Authorization" not in headers
