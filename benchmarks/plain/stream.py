"""What one writes first: read a frame, parse it, set it, publish it."""

import json
import time
from collections.abc import Sequence

import websocket
from redis import Redis


def rate(url: str, topics: Sequence[str], redis: Redis, seconds: float) -> float:
    """Return how many frames per second such a loop takes in, one connection for all topics."""
    connection = websocket.create_connection(f"{url}/stream", suppress_origin=True)
    try:
        connection.send(json.dumps({"method": "SUBSCRIBE", "params": list(topics), "id": 1}))
        frames, started = 0, time.perf_counter()
        while time.perf_counter() < started + seconds:
            data = json.loads(connection.recv()).get("data")
            if data:
                text = json.dumps(data["k"])
                redis.set(f"plain:{data['s']}:{data['k']['i']}", text)
                redis.publish(f"plain:{data['s']}:{data['k']['i']}", text)
                frames += 1
        return frames / (time.perf_counter() - started)
    finally:
        connection.shutdown()
