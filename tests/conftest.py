"""What every test stands on: a Redis of the test run's own and a database in a file."""

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from copy import copy
from importlib import import_module
from pathlib import Path

import pytest
import redis as redis_client
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.utils.functional import empty
from hypothesis import settings as hypothesis_settings

from exchanges.rest.pacing.memory import forget_all
from livermore.running import embedded_redis

# Never the Redis of whoever runs the tests: they empty it.
FOLDER = Path(tempfile.mkdtemp(prefix="livermore-tests-"))
SERVER = embedded_redis.ensure_running(FOLDER / "valkey")
os.environ["REDIS_URL"] = SERVER.url
os.environ["LIVERMORE_PRIVATE_EXCHANGE_HOSTS"] = "127.0.0.1"  # the tests' exchanges, at any port
# Else each process of each test compiles all of it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# pytest-django has read the settings before this file is imported: they are read again.
sys.modules.pop("livermore.settings", None)
settings._wrapped = empty

# A password of a test protects nothing: a million rounds of a hash cost half a second each.
PBKDF2PasswordHasher.iterations = 1

# How long an example takes is not what is tested, least beside other processes.
hypothesis_settings.register_profile("livermore", deadline=None)
hypothesis_settings.load_profile("livermore")

gc.disable()  # until all is collected: nothing of that is garbage

DURATION = "livermore/seconds-of-all-tests"  # in pytest's cache
WORKER_MINUTES = 108  # of all tests, as six workers on two processors took
STARTED_AT = time.monotonic()
COMPILED = ("alerts", "exchanges", "history", "livermore", "serving", "tests", "warmup")
READ_BY_PYTEST = r"/(test_\w+|conftest)\.py$"


def pytest_configure(config):
    """Let what tests start end by SIGINT and SIGHUP, also where `&` and `nohup` have them ignored.

    What is caught here is at its default there; what is ignored stays ignored.
    """
    if getattr(config.option, "numprocesses", None):
        gc.enable()  # the workers collect
        _compile(config.rootpath)  # for each of them
        return  # and are asked themselves
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def _compile(root):
    """Compile all modules but those that pytest writes anew: each worker would do it."""
    folders = [root / name for name in COMPILED]
    command = [sys.executable, "-m", "compileall", "-qq", "-j", "0", "-x", READ_BY_PYTEST]
    subprocess.run([*command, *folders], check=False)  # what is wrong with one its tests will say


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session):
    """Let each worker begin to read the tests elsewhere, and find what the others compiled."""
    if not (worker := getattr(session.config, "workerinput", None)):
        return
    root = session.config.rootpath
    chosen = [root / each for each in session.config.args if Path(each).parts[:1] == ("tests",)]
    files = [path for folder in chosen for path in sorted(folder.rglob("test_*.py"))]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in files]
    number = int(worker["workerid"].removeprefix("gw"))
    first = number * len(names) // worker["workercount"]
    for name in names[first:] + names[:first]:
        # What is wrong with one is told when it is collected.
        with suppress(Exception, pytest.skip.Exception):
            import_module(name)


# What the tests of a file, or of a folder, share because it takes a while to start: no sandbox.
STARTED_ONCE = re.compile(
    r'scope="(?:module|package)"\)\s+def (?!(?:shared|front|in_real_time)\b)(\w+)'
)
TAKES = re.compile(r"^(?:@pytest\.fixture.*\s+def (\w+)|def test_\w+)\(([^)]*)\)", re.M)


def _together(root):
    """Return the folder or file whose tests stay in one process, by the file they are in."""
    found = {}
    for path in (*sorted((root / "tests").rglob("*.py")), *(root / "reader/tests").rglob("*.py")):
        if started := {*STARTED_ONCE.findall(path.read_text())}:
            is_folder = path.name == "conftest.py"
            for file in _users(path.parent, started) if is_folder else [path]:
                name = file.relative_to(root).as_posix()
                found.setdefault(name, str((path.parent if is_folder else file).relative_to(root)))
    return found


def _users(folder, started):
    """Return the files of tests that take what a folder's conftest.py starts, or what takes it."""
    names = set(started)
    for fixture, taken in TAKES.findall((folder / "conftest.py").read_text()):
        if fixture and names & {*re.findall(r"\w+", taken)}:
            names.add(fixture)
    for path in sorted(folder.rglob("test_*.py")):
        taken = " ".join(each for _, each in TAKES.findall(path.read_text()))
        if names & {*re.findall(r"\w+", taken)}:
            yield path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share tests out one by one, but for those that stay together."""
    if config.option.dist != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    together = _together(config.rootpath)

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return together.get(nodeid.partition("::")[0], nodeid)

    return Sharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Let processes that share the tests out begin with what takes long."""
    if not hasattr(config, "workerinput"):
        return
    together, whole_product = _together(config.rootpath), Path(__file__).parent

    def place(item):
        file = item.nodeid.partition("::")[0]
        is_early = _commits(item) or item.path.parent == whole_product
        return together.get(file, file) == file, file not in together, not is_early

    items.sort(key=place)


def _commits(item):
    return "transactional_db" in item.fixturenames or any(
        marker.kwargs.get("transaction") for marker in item.iter_markers("django_db")
    )


def pytest_collection_finish():
    """Keep all that was collected out of the way of garbage collections, which runners call for."""
    gc.freeze()
    gc.enable()


def pytest_report_header(config):
    """Say how long it takes, where all tests are run."""
    if not _is_all(config):
        return None
    workers = getattr(config.option, "numprocesses", None) or 1
    if last := config.cache.get(DURATION, {}).get(str(workers)):
        return f"all tests: last time it took {_minutes(last)}, processes: {workers}"
    guess = 60 * WORKER_MINUTES / workers
    return f"all tests: about {_minutes(guess)}, processes: {workers}; next time it is known"


def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and _is_all(config):
        workers = getattr(config.option, "numprocesses", None) or 1
        took = config.cache.get(DURATION, {}) | {str(workers): time.monotonic() - STARTED_AT}
        config.cache.set(DURATION, took)


def _is_all(config):
    """Tell whether nothing is left out, and this is no worker."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.lf or option.maxfail or option.collectonly
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return whole and not chosen and not hasattr(config, "workerinput")


def _minutes(seconds):
    return f"{max(1, round(seconds / 60))} min"


def pytest_unconfigure(config):
    SERVER.leave()
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings):
    """Keep SQLite's test database in a file: threads and processes can share it."""
    from django.db import connections

    default = connections.settings["default"]
    if default["ENGINE"] == "django.db.backends.sqlite3":
        default["TEST"]["NAME"] = str(FOLDER / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """Let a test that commits leave what migrations wrote: several processes share the tests out.

    Written again from memory it takes a hundredth of what Django takes to find it out anew.
    """
    from django.apps import apps
    from django.core.management.commands import flush
    from django.db import transaction

    models = [each for each in apps.get_models(include_auto_created=True) if each._meta.managed]
    with django_db_blocker.unblock():
        migrated = {model: list(model._base_manager.all()) for model in models}

    def put_back(*_, **__):
        with transaction.atomic():
            for model, rows in migrated.items():
                model._base_manager.bulk_create(map(copy, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", put_back)
        yield


@pytest.fixture(autouse=True)
def _no_host_known():
    """Let no test know of hosts what the one before learned: their ports are others' by now."""
    forget_all()


@pytest.fixture(scope="session", autouse=True)
def _find_static_files_once():
    """Let each client's middleware have the list that the first one made: it takes 20 ms."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    found = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(middleware):
        folders = (*map(str, settings.STATICFILES_DIRS), *settings.INSTALLED_APPS)
        asked = (middleware.static_prefix, middleware.max_age, *folders)
        if asked not in found:
            find(middleware)
            found[asked] = dict(middleware.files)
        middleware.files.update(found[asked])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture
def redis():
    """Return a client of the test run's Redis, which is empty."""
    with redis_client.Redis.from_url(SERVER.url) as client:
        client.flushall()
        yield client
