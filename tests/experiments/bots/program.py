"""A process of some bots: `python -m tests.experiments.bots.program`.

It reads one line of JSON: the addresses, the sandbox's clock, the bots. It lets them run until its
standard input ends, and prints what each found.
"""

import json
import sys
import threading

from tests.experiments.bots.bot import Place
from tests.experiments.bots.libraries import CcxtBot, CcxtProBot
from tests.experiments.bots.polling import (
    CoinbasePoller,
    Historian,
    NativePoller,
    Poller,
    Waiter,
)
from tests.experiments.bots.streaming import EventBot, SocketBot
from tests.experiments.bots.truth import ExchangeTime, Truth

SECONDS_TO_END = 60


KINDS = {
    each.__name__: each
    for each in (Poller, Waiter, Historian, CoinbasePoller, NativePoller, CcxtBot, CcxtProBot,
                 SocketBot, EventBot)
}  # fmt: skip


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    truth = Truth(settings["sandbox"], ExchangeTime(**settings["time"]))
    place = Place(settings["url"], truth, threading.Event())
    bots = [
        KINDS[each["kind"]](place, **{k: v for k, v in each.items() if k != "kind"})
        for each in settings["bots"]
    ]
    for bot in bots:
        bot.start()
    print("begun", flush=True)
    sys.stdin.read()
    place.ending.set()
    for bot in bots:
        bot.join(SECONDS_TO_END)
        if bot.is_alive():
            bot.found.fault("it hung and did not end")
        bot.finish()
    print(json.dumps([bot.found.as_json() for bot in bots]), flush=True)


if __name__ == "__main__":
    main()
