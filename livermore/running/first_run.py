"""What a checkout needs before its first start: a private folder, a secret key, a first user."""

import contextlib
import os
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model

ADMIN = "admin"


def private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def secret_key(path: Path) -> None:
    """Keep a secret key at `path`, so that sessions outlive a restart."""
    if not os.environ.get("LIVERMORE_SECRET_KEY"):
        write_secret(path, secrets.token_urlsafe(50))


def admin_password(path: Path) -> str | None:
    """Make the user `admin` with a password kept at `path`; None where that user exists."""
    users = get_user_model()
    if users.objects.filter(username=ADMIN).exists():
        return None
    path.unlink(missing_ok=True)  # of a database that is gone
    password = secrets.token_urlsafe(12)
    write_secret(path, password)
    users.objects.create_superuser(ADMIN, password=password)
    return password


def write_secret(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all; keep one that exists."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "w") as file:
        file.write(text + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # unlike a rename it never replaces
    draft.unlink()


def admin_password_file() -> Path:
    return settings.VAR_DIR / "admin-password"
