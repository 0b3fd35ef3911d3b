"""Whether a private Coinbase request carries a token of the right form."""

import base64
import binascii
import json

from exchanges.sandbox.server.calls import Call


def authorised(call: Call) -> bool:
    """Check a bearer token's claims; its signature and lifetime are taken on trust.

    `uri` must name this method, host and path without scheme or query, the host being the
    one that was called or Coinbase's own.
    """
    scheme, _, token = call.headers.get("Authorization", "").partition(" ")
    parts = token.split(".")
    claims = _claims(parts[1]) if scheme == "Bearer" and len(parts) == 3 else {}
    hosts = (call.headers.get("Host", ""), "api.coinbase.com")
    return (
        claims.get("iss") == "cdp"
        and bool(claims.get("sub"))
        and all(isinstance(claims.get(name), int) for name in ("nbf", "exp"))
        and claims.get("uri") in [f"GET {host}{call.path}" for host in hosts]
    )


def _claims(part: str) -> dict:
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
