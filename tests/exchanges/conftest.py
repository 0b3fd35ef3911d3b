import pytest

from exchanges.transport import backoff


@pytest.fixture(autouse=True)
def _try_again_soon(monkeypatch):
    """Let calls that failed be tried again at once: how long they wait is the client's matter."""
    monkeypatch.setattr(backoff, "FIRST_RETRY_SECONDS", 0.05)
