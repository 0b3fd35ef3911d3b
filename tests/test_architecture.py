"""The rooms and who may enter them, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules import for_each

ROOT = Path(__file__).parent.parent
OURS = {"livermore", "exchanges", "warmup", "history", "serving", "alerts"}
READER = "reader/livermore_reader"  # a distribution of its own
EXTRAS = {"pandas", "polars", "pyarrow", "mcp"}  # its users may lack them
NEEDS_MCP = Path(READER, "mcp/server.py")  # imported by who runs it
STANDARD_IN_CORE = {
    "collections",
    "dataclasses",
    "decimal",
    "enum",
    "functools",
    "itertools",
    "math",
    "typing",
}
HTTP_CLIENTS = {"requests", "websocket", "websockets", "httpx", "urllib3", "http", "aiohttp"}
SOCKETS = {
    "exchanges/rest/client.py",
    "exchanges/rest/session.py",
    "exchanges/stream/wire/websocket.py",
    "exchanges/stream/connection.py",
    "alerts/delivery/dead_man.py",
    "alerts/delivery/guarded.py",  # where the library that sends messages may connect to
}
ASKS_ITS_CHILDREN = {"livermore/running/children.py"}  # whether they answer yet, on this machine
ANSWERS = ("aiohttp.web", "aiohttp.WSCloseCode", "aiohttp.WSMsgType")  # calls nobody
REDIS = {
    "exchanges/rest/pacing/pacer.py",
    "exchanges/rest/pacing/usage.py",
    "exchanges/lock/acquire.py",
    "exchanges/lock/lease.py",
    "exchanges/lock/control.py",
    "exchanges/lock/control_client.py",
    "exchanges/lock/control_reader.py",
    "exchanges/lock/status.py",
    "exchanges/lock/status_writer.py",
    "exchanges/lock/presence.py",
    "exchanges/lock/watch.py",
    "exchanges/redis/channel_layer.py",
    "history/turn.py",
    "history/following/news.py",
    "exchanges/redis/client.py",
    "exchanges/redis/recognition.py",
    "exchanges/redis/scripts.py",
    "exchanges/redis/directory.py",
    "exchanges/redis/installation.py",
    "exchanges/redis/unreadable.py",
    "exchanges/redis/row_notifications.py",
    "exchanges/symbols/volumes.py",
    "warmup/cache/candles.py",
    "warmup/cache/tickers.py",
    "warmup/live/writing/flush.py",
    "warmup/live/writing/listeners.py",
    "warmup/live/redis_loss/comparison.py",
    "warmup/live/redis_loss/loss_watch.py",
    "warmup/stats.py",
    "warmup/metrics/collect.py",
    "warmup/metrics/redis_server.py",
    "warmup/runner/renaming.py",
    "warmup/schedule.py",
    "warmup/live/indicators.py",
    "warmup/cache/indicators.py",
    "warmup/runner/agent.py",
    "warmup/runner/agents.py",
    "warmup/runner/command_log.py",
    "warmup/runner/moving/shadow.py",
    "warmup/runner/moving/succession.py",
    "warmup/runner/old_rows.py",
    "warmup/runner/trouble.py",
    "warmup/network/page/exchange_view.py",
    "warmup/network/readers.py",
    "warmup/network/socket/subscriber.py",
    "warmup/network/socket/feed.py",
    "warmup/network/actions/base.py",
    "warmup/harness/steps/stored.py",
    "alerts/evaluating/turn.py",
    "alerts/events/absent.py",
    "alerts/events/holders.py",
    "alerts/signals/stream.py",
    "serving/server.py",
    "serving/together/turns.py",
    "serving/together/answers.py",
    "serving/counting/reports.py",
    "serving/health.py",
    "serving/limits/guesses.py",
    "serving/limits/requests.py",
    "serving/limits/sockets.py",
    "serving/memory/tracking.py",
    "serving/native/events.py",
    "serving/streams/closes.py",
    "serving/streams/feed.py",
    "serving/standing/origins.py",
}
MAKE_CLIENTS = ("exchanges/redis/client.py", "exchanges/redis/topology/cluster.py")
WITHOUT_OURS = "benchmarks/programs/reading.py"  # as a notebook reads, that has nothing of ours
CLIENTS = {"Redis", "AsyncRedis", "StrictRedis", "RedisCluster", "Valkey", "Sentinel"}
MOST_ARGUMENTS = 7  # of a constructor
MOST_MODULES = 13  # side by side in a folder
DJANGOS = {"management", "commands", "migrations"}  # packages that are as Django wants them
KEY_STARTS = (
    "candles:", "candle:", "coverage:", "ticker:", "indicator:", "exchange:", "channel:", "pacing:",
    "old-rows:", "login:", "serving:", "alerts:",
)  # fmt: skip


def sources(*rooms):
    """Return the path of every module in these folders, from the root."""
    found = [path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert found, f"nothing found in {rooms}"
    return sorted(path for path in found if "migrations" not in path.parts)


def packages(*rooms):
    """Return the folders of these rooms that hold modules, the rooms themselves included."""
    return sorted({path.parent for path in sources(*rooms)})


def in_core(path):
    return path.is_relative_to("livermore/market")


def is_command(path):
    return "management" in path.parts


def in_sandbox(path):
    return path.is_relative_to("exchanges/sandbox")


def tree(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imported(path):
    """Return the dotted names that a module imports, wherever in it it does."""
    names = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_at_once(module):
    """Return the dotted names that are imported when a module is, other than for its types."""
    names = set()
    for node in module.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(f"{node.module}")
    return names


def ours_imported(path):
    return {name for name in imported(path) if name.partition(".")[0] in OURS}


def is_of(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@for_each(sources("livermore/market"))
def test_the_core_knows_nothing_but_itself_and_arithmetic(path):
    for name in imported(path):
        assert is_of(name, "livermore.market", *STANDARD_IN_CORE), f"{path} imports {name}"


@for_each(sources("exchanges"))
def test_exchanges_know_the_core_alone(path):
    if not is_command(path):
        for name in ours_imported(path):
            assert is_of(name, "exchanges", "livermore.market"), f"{path} imports {name}"


@for_each(sources("warmup"))
def test_warmup_knows_exchanges_and_the_core(path):
    if not is_command(path):
        allowed = ["warmup", "exchanges", "livermore.market"]
        if path.is_relative_to("warmup/network"):  # whose charts go back further than the cache
            allowed.append("history.reading")
        for name in ours_imported(path):
            assert is_of(name, *allowed), f"{path} imports {name}"


@for_each(sources("history"))
def test_history_knows_what_is_before_it(path):
    if not is_command(path):
        allowed = ("history", "warmup", "exchanges", "livermore.market")
        for name in ours_imported(path):
            assert is_of(name, *allowed), f"{path} imports {name}"
            assert not is_of(name, "warmup.network"), f"{path} imports {name}"


@for_each(sources("serving"))
def test_serving_knows_what_is_before_it(path):
    if not is_command(path):
        allowed = ("serving", "history", "warmup", "exchanges", "livermore.market")
        for name in ours_imported(path):
            assert is_of(name, *allowed), f"{path} imports {name}"


@for_each(sources("alerts"))
def test_alerts_know_what_is_before_them(path):
    if not is_command(path):
        allowed = ("alerts", "history", "warmup", "exchanges", "livermore.market")
        logs = ("livermore.observing.redaction",)  # which knows the secrets of all
        for name in ours_imported(path):
            assert is_of(name, *allowed, *logs), f"{path} imports {name}"


@for_each(sources("livermore", "exchanges", "warmup", "history"))
def test_nobody_knows_who_serves(path):
    for name in ours_imported(path):
        assert not is_of(name, "serving"), f"{path} imports {name}"


@for_each(sources("exchanges", "warmup", "history", "serving"))
def test_nobody_knows_who_is_told(path):
    for name in ours_imported(path):
        assert not is_of(name, "alerts"), f"{path} imports {name}"


@for_each(sources(*OURS))
def test_nobody_knows_the_reader(path):
    for name in imported(path):
        assert not is_of(name, "livermore_reader"), f"{path} imports {name}"


@for_each(sources(READER))
def test_the_reader_knows_nothing_but_itself_and_redis(path):
    allowed = {"livermore_reader", "redis", *sys.stdlib_module_names}
    for name in imported(path):
        assert name.partition(".")[0] in allowed | EXTRAS, f"{path} imports {name}"


@for_each(sources(READER))
def test_the_reader_needs_no_extra_to_be_imported(path):
    if path != NEEDS_MCP:
        for name in imported_at_once(tree(path)):
            assert not is_of(name, *EXTRAS), f"{path} imports {name}"


@for_each(sources(READER))
def test_the_readers_sources_alone_open_connections(path):
    if not path.is_relative_to(Path(READER, "sources")):
        for name in imported(path):
            assert not is_of(name, "socket", *HTTP_CLIENTS, "urllib.request"), f"{path}: {name}"
        assert clients_made(tree(path)) == [], path


@for_each(sources("exchanges", "warmup"))
def test_nobody_but_the_sandboxs_own_command_knows_the_sandbox(path):
    if not in_sandbox(path) and path.name != "sandbox.py":
        assert not [name for name in imported(path) if is_of(name, "exchanges.sandbox")]


@for_each(sources("exchanges/venues"))
def test_no_venue_knows_another(path):
    if path.parent.name != "venues":
        others = {f.name for f in (ROOT / "exchanges/venues").iterdir()} - {path.parts[2]}
        for name in imported(path):
            assert not is_of(name, *(f"exchanges.venues.{other}" for other in others))


@for_each(sources(*OURS))
def test_few_modules_open_sockets_to_an_exchange(path):
    if not in_sandbox(path) and path.as_posix() not in SOCKETS | ASKS_ITS_CHILDREN:
        for name in imported(path):
            serves = path.is_relative_to("serving") and is_of(name, *ANSWERS)
            assert serves or not is_of(name, *HTTP_CLIENTS, "urllib.request"), (
                f"{path} imports {name}"
            )


@for_each(sources("exchanges", "warmup", "history", "serving", "alerts"))
def test_few_modules_talk_to_redis(path):
    if path.as_posix() not in REDIS:
        assert redis_calls(tree(path)) == [], path


@for_each(sources(*OURS, "benchmarks"))
def test_one_room_makes_the_clients_of_redis(path):
    """All of them take what REDIS_URL may be, and notice when their server is gone."""
    if path.as_posix() not in (*MAKE_CLIENTS, WITHOUT_OURS):
        assert clients_made(tree(path)) == [], path


def clients_made(module):
    """Return the calls that make a client of Redis, be it out of its address or of its pool."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            maker = name.removesuffix(".from_url").removesuffix(".from_pool")
            if maker.rpartition(".")[2] in CLIENTS or name.endswith("aioredis.from_url"):
                found.append(name)
    return found


def redis_calls(module):
    """Return the calls of a method of something named as Redis clients and pipelines are here."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = getattr(owner, "attr", None) or getattr(owner, "id", "")
            if name.strip("_") in {"redis", "pipe", "pipeline"}:
                found.append(ast.unparse(node.func))
    return found


@for_each(sources(*OURS))
def test_every_name_in_redis_is_made_in_one_module(path):
    if path != Path("livermore/market/keys.py"):
        assert key_texts(tree(path)) == [], path


@for_each(sources(READER))
def test_the_reader_too_makes_every_name_in_redis_in_one_module(path):
    if path != Path(READER, "sources/redis/names.py"):
        assert key_texts(tree(path)) == [], path


def key_texts(module):
    return [
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(KEY_STARTS)
    ]


@for_each(packages(*OURS, READER, "tests", "benchmarks"))
def test_no_folder_holds_more_modules_than_one_can_look_over(folder):
    modules = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    assert len(modules) <= MOST_MODULES, f"{folder}: cut it into rooms by subject"


@for_each([each for each in packages(*OURS, READER) if each.name not in DJANGOS])
def test_every_package_says_first_what_happens_there(folder):
    said = ast.get_docstring(tree(folder / "__init__.py")) or ""
    first, _, rest = said.partition("\n")
    assert first.endswith("."), f"{folder}/__init__.py: a sentence, in its first line"
    assert not rest or rest.startswith("\n"), f"{folder}/__init__.py: an empty line after it"


@for_each(sources(*OURS, READER, "benchmarks"))
def test_no_constructor_takes_more_than_can_be_told_apart(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            named = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            assert len(named) - 1 <= MOST_ARGUMENTS, f"{path}:{node.lineno}: group them"


PACKED = {".whl", ".egg", ".zip", ".gz", ".xz", ".bz2", ".zst", ".tar", ".so", ".pyc"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says what belongs to the project")
def test_nothing_that_others_have_packed_is_kept_here():
    kept = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    assert "tests/test_architecture.py" in kept
    assert not [each for each in kept if Path(each).suffix in PACKED]


def test_these_checks_would_notice():
    careless = ast.parse(
        "self._redis.get(f'candles:{pk}:{symbol}')\n"
        "redis.set('ticker:' + name)\n"
        "pipe.zadd('exchange:%s' % pk)\n"
    )
    assert redis_calls(careless) == ["self._redis.get", "redis.set", "pipe.zadd"]
    made = "redis.Redis(port=1), Redis.from_url(url), redis.asyncio.Redis.from_pool(pool)"
    assert clients_made(ast.parse(made)) == [
        "redis.Redis", "Redis.from_url", "redis.asyncio.Redis.from_pool",
    ]  # fmt: skip
    assert set(key_texts(careless)) == {"candles:", "ticker:", "exchange:%s"}
