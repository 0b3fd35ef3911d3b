"""Whose certificates are believed, for REST and for WebSockets alike.

The system's, and with them those that the variables name by which other programs are told of a
CA of one's own; LIVERMORE_CA_FILE alone where it is set. A file that was renewed counts at the next
connect.
"""

import os
import re
import ssl
from collections.abc import Hashable
from pathlib import Path

import certifi
from django.conf import settings

from exchanges.errors import Misconfigured, one_line

OURS = "LIVERMORE_CA_FILE"
USUAL = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The newest, by its state: to read the system's certificates takes as long as a call.
_made: dict[Hashable, tuple[ssl.SSLContext, str]] = {}
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # how OpenSSL finds a certificate in a folder


def tls_context() -> ssl.SSLContext:
    """Return what to encrypt a connection with. Raises Misconfigured."""
    return _context_and_source()[0]


def trusted() -> str:
    """Return in a few words whose certificates are believed. Raises Misconfigured."""
    return _context_and_source()[1]


def named_files() -> dict[str, str]:
    """Return the variables that count, each with the file or folder that it names."""
    if settings.LIVERMORE_CA_FILE:
        return {OURS: settings.LIVERMORE_CA_FILE}
    return {name: path for name in USUAL if (path := os.environ.get(name))}


def load(context: ssl.SSLContext, name: str, path: str) -> None:
    """Let a context believe the certificates of a file or folder that a variable names.

    Raises Misconfigured where there are none, or none that can be read.
    """
    try:
        if not Path(path).is_dir():
            context.load_verify_locations(cafile=path)
        elif _is_folder_of_certificates(path):
            context.load_verify_locations(capath=path)
        else:
            raise ssl.SSLError
    except ssl.SSLError as error:
        raise _fault(name, path, "holds no certificates") from error
    except OSError as error:
        raise _fault(name, path, f"can't be read ({error.strerror})") from error


def _context_and_source() -> tuple[ssl.SSLContext, str]:
    """Return what was made last, as long as nothing of what it was made of has changed."""
    state = _state()
    if (made := _made.get(state)) is None:
        made = _make()
        _made.clear()
        _made[state] = made
    return made


def _state() -> Hashable:
    """Return what is another where other certificates may be believed, or are to be refused."""
    named, usual = named_files(), ssl.get_default_verify_paths()
    paths = [os.environ.get(usual.openssl_cafile_env, usual.openssl_cafile), *named.values()]
    paths += os.environ.get(usual.openssl_capath_env, usual.openssl_capath).split(os.pathsep)
    return tuple(named.items()), tuple((path, _versions(path)) for path in paths)


def _versions(path: str) -> Hashable:
    """Return which version of a file this is, or of each file of a folder; None where none is."""
    try:
        files = [Path(path)]
        if files[0].is_dir():
            files += [each for each in files[0].iterdir() if HASHED.fullmatch(each.name)]
        found = [each.stat() for each in files]
    except OSError:
        return None
    return tuple(sorted((each.st_mtime_ns, each.st_size, each.st_ino) for each in found))


def _make() -> tuple[ssl.SSLContext, str]:
    context, sources = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), []
    context.set_alpn_protocols(["http/1.1"])
    named = named_files()
    if OURS not in named:
        context.load_default_certs()
        sources.append("the system's certificates")
    for name, path in named.items():
        load(context, name, path)
        sources.append(f"{name} ({path})")
    if not named and not _has_any(context):
        context.load_verify_locations(cafile=certifi.where())
        sources = ["certifi's certificates, as the system has none"]
    return context, " and ".join(sources)


def _has_any(context: ssl.SSLContext) -> bool:
    """Tell whether a context believes anybody: what is in folders is read when it is needed."""
    folders = os.environ.get("SSL_CERT_DIR") or ssl.get_default_verify_paths().openssl_capath
    is_filled = map(_is_folder_of_certificates, folders.split(os.pathsep))
    return context.cert_store_stats()["x509"] > 0 or any(is_filled)


def _is_folder_of_certificates(path: str) -> bool:
    try:
        return any(HASHED.fullmatch(each.name) for each in Path(path).iterdir())
    except OSError:
        return False


def _fault(name: str, path: str, what: str) -> Misconfigured:
    return Misconfigured(
        f"{name} names {one_line(path)}, which {what}",
        "name a file of certificates in PEM, or a folder of them as `openssl rehash` makes it, or "
        "unset it",
    )
