"""TLS with a CA of one's own, as some networks have it."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

OWN_ADDRESSES = ("127.0.0.1", "::1")
LASTS = timedelta(days=30)


def tls_of_its_own(ca_file: str) -> ssl.SSLContext:
    """Return what to serve TLS with, and write the certificate of the CA that vouches for it.

    Both are made anew each time, for `localhost` and the addresses of this machine; the CA's key
    is kept nowhere. Raises OSError where the file can't be written.
    """
    ca_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    ca = _certificate("Sandbox CA", ca_key, x509.BasicConstraints(ca=True, path_length=0))
    names = [x509.IPAddress(ipaddress.ip_address(each)) for each in OWN_ADDRESSES]
    own = x509.SubjectAlternativeName([x509.DNSName("localhost"), *names])
    leaf = _certificate("localhost", key, own, "Sandbox CA", ca_key)
    Path(ca_file).write_bytes(ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as chain:  # the library takes a key from a file alone
        chain.write(leaf)
        chain.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        chain.flush()
        context.load_cert_chain(chain.name)
    return context


def _certificate(name, key, extension, issuer=None, issuer_key=None) -> bytes:
    """Return a certificate in PEM, of its own where nobody issues it."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        named(issuer or name),
        named(name),
        key.public_key(),
        x509.random_serial_number(),
        now - LASTS,
        now + LASTS,
    ).add_extension(extension, critical=True)
    return made.sign(issuer_key or key, SHA256()).public_bytes(Encoding.PEM)
