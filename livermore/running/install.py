"""Make `.venv` and install a requirements file into it, if that is not done yet.

    python3 -I livermore/running/install.py requirements.txt

Called by `./run` with whatever Python the machine has, so it uses the standard library alone.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
IS_SOUND = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
PIP = ("-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input")


def prepare(requirements: str) -> None:
    """Raises SystemExit with a line for a person."""
    (ROOT / "var").mkdir(mode=0o700, exist_ok=True)
    with (ROOT / "var" / "prepare.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `./run` at once: the second finds the work done
        if not _is_sound():
            _make_venv()
        if not _is_installed(requirements):
            _install(requirements)


def _is_sound() -> bool:
    """Tell whether the environment's Python starts and finds pip, which is installed last."""
    if not os.access(PYTHON, os.X_OK):
        return False
    return subprocess.run([PYTHON, "-I", "-c", IS_SOUND], capture_output=True).returncode == 0  # noqa: S603


def _make_venv() -> None:
    if VENV.is_symlink():
        sys.exit(f"run: {VENV} links to something that is no usable environment: remove it")
    try:
        import ensurepip  # noqa: F401  Debian keeps it in a package of its own

        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    except (ImportError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(
            f"run: could not make {VENV} with {sys.executable} ({error}). On Debian and Ubuntu "
            "its venv is a package: apt-get install python3-venv"
        )


def _install(requirements: str) -> None:
    print(f"Installing {requirements} into .venv ...", file=sys.stderr, flush=True)
    _stamp(requirements).unlink(missing_ok=True)
    environment = os.environ | {"PIP_ROOT_USER_ACTION": "ignore"}
    command = [PYTHON, "-I", *PIP, "-r", ROOT / requirements]
    if subprocess.run(command, env=environment).returncode:  # noqa: S603
        sys.exit("run: pip could not install that, see above. Fix it, then run this again")
    for name in _included(requirements):
        _stamp(name).write_text(_digest(name))


def _is_installed(requirements: str) -> bool:
    stamp = _stamp(requirements)
    return stamp.exists() and stamp.read_text() == _digest(requirements)


def _stamp(requirements: str) -> Path:
    return VENV / f"installed-{requirements}"


def _digest(requirements: str) -> str:
    content = b"".join((ROOT / name).read_bytes() for name in _included(requirements))
    return hashlib.sha256(content).hexdigest()


def _included(requirements: str) -> list[str]:
    """Return the file and those that it includes with `-r`."""
    names = [requirements]
    for line in (ROOT / requirements).read_text().splitlines():
        if line.startswith("-r "):
            names += _included(line[3:].strip())
    return names


if __name__ == "__main__":
    try:
        prepare(sys.argv[1])
    except PermissionError as error:
        sys.exit(
            f"run: may not write {error.filename}: run it as who owns this folder, or in a copy"
        )
    except KeyboardInterrupt:
        sys.exit(130)
