"""What clients have a Redis server do, as MONITOR tells it: of each call, the keys it has."""

import re
import threading
from contextlib import contextmanager

import redis as redis_client
from redis.crc import key_slot

LINE = re.compile(rb"^\S+ \[(\d+) (\S+)\] (.*)$")
PART = re.compile(rb'"((?:[^"\\]|\\.)*)"')
WITHOUT_KEYS = (
    *("MULTI", "EXEC", "DISCARD", "MONITOR", "COMMAND"),
    *("SCRIPT", "HELLO", "SELECT", "ECHO"),
)
END = b"the recording ends"


@contextmanager
def recorded(url):
    """Record what a server does while the block runs, as (client, command and its words)."""
    found = []
    client = redis_client.Redis.from_url(url, socket_timeout=None)

    def listen():
        with client.monitor() as monitor:
            ready.set()
            line = b""
            while END not in line:
                line = monitor.connection.read_response(disable_decoding=True)
                if match := LINE.match(line):
                    words = PART.findall(match[3])
                    found.append((match[2].decode(), [_plain(word) for word in words]))

    ready = threading.Event()
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ready.wait()
    yield found
    with redis_client.Redis.from_url(url) as last:
        last.echo(END)
    thread.join(10)
    client.close()


def _plain(word):
    return word.decode("unicode_escape").encode("latin-1")


def calls(redis, found):
    """Return each call and its keys: a command, a script with what it did, a transaction."""
    in_transaction, script, told = {}, None, []
    for client, words in found:
        name = words[0].decode().upper()
        if client == "lua":
            if keys := keys_of(redis, words):
                script[1].update(keys)
            continue
        keys = set(keys_of(redis, words))
        call = (" ".join(map(repr, words[:2])), keys)
        if name == "MULTI":
            in_transaction[client] = ("a transaction", set())
        elif name == "EXEC":
            told.append(in_transaction.pop(client))
        elif client in in_transaction:
            in_transaction[client][1].update(keys)
        else:
            script = call
            told.append(call)
    return told


def keys_of(redis, words):
    """Return the keys that a command has, as the server itself tells them."""
    if words[0].decode().upper() in WITHOUT_KEYS:
        return []
    if words[0].upper() in (b"EVALSHA", b"EVAL"):
        return words[3 : 3 + int(words[2])]
    try:
        found = redis.command_getkeys(*words)
        return [key.encode("latin-1") if isinstance(key, str) else key for key in found]
    except redis_client.ResponseError:  # it has none
        return []


def spread(told):
    """Return the calls whose keys are in several slots."""
    return [(what, keys) for what, keys in told if len({key_slot(key) for key in keys}) > 1]
