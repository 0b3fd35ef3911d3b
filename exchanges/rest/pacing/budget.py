"""What an exchange allows one address, and how much of it each kind of call may use up."""

from dataclasses import dataclass
from enum import Enum

SHARE_OF_LIMIT = 0.8  # of what an exchange publishes; the rest is for other programs and for error


class Lane(Enum):
    """What a call is for; its value is the share of the budget it may use up."""

    HEAL = 1.0
    LIVE = 0.95
    SERVE = 0.92  # what a program waits for
    BACKFILL = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange allows one address: weight in a minute, requests in five."""

    weight_per_minute: int
    requests_per_5_minutes: int
