"""What one process of an agent runs and takes, as the agent says it."""

from dataclasses import dataclass
from typing import Any

from exchanges.redis.json_types import is_texts, whole_in


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """A process beside the agent's own: what runs in it, and what it took when it looked last.

    `memory_bytes` is its share of memory, of what others use too a part; 0 where the system does
    not tell it.
    """

    pid: int
    running: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    threads: int = 0

    @classmethod
    def from_json(cls, found: Any) -> "ProcessReport":
        """Return what was stored; ValueError where it is none."""
        if not isinstance(found, dict) or not is_texts(found.get("running")):
            raise ValueError("a process that runs nothing known")
        pid, memory_bytes, threads = (
            whole_in(found, name) for name in ("pid", "memoryBytes", "threads")
        )
        seconds = found.get("cpuSeconds")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise ValueError("seconds of a core that are no number")
        return cls(pid, tuple(found["running"]), seconds, memory_bytes, threads)

    def as_json(self) -> dict[str, Any]:
        """Return the object that is stored."""
        return {
            "pid": self.pid,
            "running": list(self.running),
            "cpuSeconds": self.cpu_seconds,
            "memoryBytes": self.memory_bytes,
            "threads": self.threads,
        }
