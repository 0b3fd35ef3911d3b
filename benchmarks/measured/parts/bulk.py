from benchmarks.history.archives import measure

__all__ = ["measure"]
