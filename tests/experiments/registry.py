"""Which experiments there are.

Adding one is a line here and a module of that name in `promises/` or below it. Its docstring says
what is promised, and which tests show parts of it in every run; `run(redis, folder, **sizes)` tries
it and returns an `Outcome`; `QUICK` are the sizes of a run that the tests can afford. It is given
an empty Redis, a database with its tables, and a folder of its own.
"""

from pathlib import Path

PROMISES = Path(__file__).parent / "promises"

EXPERIMENTS = {
    "killed": "a warmup killed at 200 points, and started again (14 minutes)",
    "lock": "races, stops and takeovers under the lock (2 minutes)",
    "outages": "Redis restarted, emptied, hanging, parted and full (4 minutes)",
    "failover": "Redis that another one replaces, which lacks what was written last (2 minutes)",
    "half_open": "connections to Redis over which nothing comes any more (1 minute)",
    "resharding": "a Redis Cluster whose slots move and whose masters die (4 minutes)",
    "streams": "all that goes wrong with streams, and cuts from 1 s to 6 h (5 minutes)",
    "distrust": "three exchanges that lie in all that they say (7 minutes)",
    "bans": "limits, refusals and bans, by two processes of one address (6 minutes)",
    "hostile": "names, commands and frames that mean harm",
    "ssrf": "addresses that lead into private networks",
    "take_over": "agents killed, stopped and moved while others wait (5 minutes)",
    "twenty_bots": "twenty bots at one address, over cuts, bans, restarts, a take-over (8 minutes)",
    "freqtrade": "freqtrade out of the package index, pointed at serve (6 minutes)",
    "alerts": "all broken once, and who tells of it killed meanwhile (8 minutes)",
    "strict": "`strict` under every fault of the sandbox, in many orders and by twos (6 minutes)",
    "history": "two years of candles, filled and followed while all goes wrong (10 minutes)",
    "venues": "every exchange that is known, all at once, cut each minute of an hour (11 minutes)",
    "soak": "two exchanges live for hours of their time, cut every minute",
}


def path_of(name: str) -> Path:
    """Return the file of an experiment's module."""
    return next(PROMISES.rglob(f"{name}.py"), PROMISES / f"{name}.py")


def module_of(name: str) -> str:
    """Return the dotted name of an experiment's module."""
    below = path_of(name).relative_to(PROMISES).with_suffix("")
    return ".".join(["tests.experiments.promises", *below.parts])
