"""Names that lead where a test says, and certificates of hosts that exist in a test alone."""

import datetime
import socket
import ssl
from contextlib import ExitStack, contextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def lead(monkeypatch, name, *addresses):
    """Let the resolver answer `addresses` for a name, in turn; return how often it was asked.

    The last one is its answer for ever; a tuple is several at once. All other names lead where
    they always did.
    """
    resolve, asked = socket.getaddrinfo, []

    def getaddrinfo(host, *rest, **options):
        if host != name:
            return resolve(host, *rest, **options)
        asked.append(host)
        answer = addresses[min(len(asked), len(addresses)) - 1]
        answer = (answer,) if isinstance(answer, str) else answer
        return [entry for each in answer for entry in resolve(each, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def certificate(folder, host):
    """Return the file of a certificate that nobody signed but `host`, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{host}.pem", folder / f"{host}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


@contextmanager
def black_hole(host, port=0):
    """Let connections to an address be neither answered nor refused; yield its port.

    A queue of one that somebody fills: what comes after that is dropped, as on the way to nowhere.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as opened:
        deaf = opened.enter_context(socket.create_server((host, port), family=family, backlog=0))
        port = deaf.getsockname()[1]
        for _ in range(4):
            filling = opened.enter_context(socket.socket(family))
            filling.setblocking(False)
            filling.connect_ex((host, port))
        yield port
