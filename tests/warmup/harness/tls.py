"""A sandbox behind TLS, with a certificate that nobody has signed but itself."""

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"


class TlsFront:
    """Hands on to a plain server what comes through TLS, in a thread of its own.

    It has a certificate that it makes itself, in `folder`, or the `context` that it is given.
    """

    def __init__(self, url, folder=None, context=None):
        self._behind = urlsplit(url)
        self._context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if folder:
            self.certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
            write_certificate(self.certificate, key)
            self._context.load_cert_chain(self.certificate, key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        starting = asyncio.start_server(self._serve, HOST, 0, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = port = self._server.sockets[0].getsockname()[1]
        self.rest_url, self.ws_url = f"https://{HOST}:{port}", f"wss://{HOST}:{port}"
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def leave(self):
        """Take no more connections."""

        async def close():
            self._server.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    async def _serve(self, reader, writer):
        inner, outer = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer))


async def pipe(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def write_certificate(path, key_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    Path(path).write_bytes(certificate.public_bytes(Encoding.PEM))
    Path(key_path).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
