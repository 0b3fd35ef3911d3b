"""The token that proves to Coinbase who calls (docs.cdp.coinbase.com, "JWT Authentication")."""

import base64
import secrets
import time
from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.views.decorators.debug import sensitive_variables

from exchanges.errors import BadCredentials

VALID_SECONDS = 120
CLOCK_SLACK_SECONDS = 5  # a token that is valid from "now" fails where our clock runs ahead


class Signer:
    """Signs requests with a CDP key: ES256 for an EC key, EdDSA for an Ed25519 one.

    `secret` is a PEM text (line breaks may be written as `\\n`, as environment files do) or the
    base64 of an Ed25519 key's 32 or 64 bytes. Raises BadCredentials where it is neither; the
    secret is never part of a message.
    """

    @sensitive_variables()  # no error page shows what is in here, nor in what it calls
    def __init__(self, key_name: str, secret: str):
        self._key_name = key_name
        self._key = _load(secret)
        ed25519 = isinstance(self._key, Ed25519PrivateKey)
        self._algorithm = "EdDSA" if ed25519 else "ES256"

    @sensitive_variables()
    def __call__(self, host_and_path: str) -> Mapping[str, str]:
        """Return the headers of one GET; each request needs a token of its own."""
        starts = int(time.time()) - CLOCK_SLACK_SECONDS
        claims = {
            "iss": "cdp",
            "sub": self._key_name,
            "nbf": starts,
            "exp": starts + VALID_SECONDS,
            "uri": f"GET {host_and_path}",
        }
        extra = {"kid": self._key_name, "nonce": secrets.token_hex(16)}
        token = jwt.encode(claims, self._key, algorithm=self._algorithm, headers=extra)
        return {"Authorization": f"Bearer {token}"}


def _load(secret: str) -> EllipticCurvePrivateKey | Ed25519PrivateKey:
    text = secret.replace("\\n", "\n").strip().strip("\"'").strip()
    key: object
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), None)
        else:
            raw = base64.b64decode(text, validate=True)
            key = Ed25519PrivateKey.from_private_bytes(raw[:32]) if len(raw) in (32, 64) else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise BadCredentials(
        "the Coinbase secret is neither a PEM private key (EC P-256 or Ed25519) nor base64 of "
        "an Ed25519 key: copy it again from the key file that Coinbase gave you"
    )
