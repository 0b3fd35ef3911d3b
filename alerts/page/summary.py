"""How many alerts are open, as far as that is known."""

import logging
from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.utils import timezone

from alerts.models import Alert, AlertProgress

logger = logging.getLogger(__name__)

SILENCE = timedelta(seconds=60)  # for so long nobody may have looked: a look comes every 3 s
NOBODY_YET = "nobody has evaluated alerts yet: ./run alerts does"
AWAY = "the database does not answer"


def read_summary() -> dict[str, Any]:
    """Return `open`, how many are, and `why` that is None: a 0 that nobody looked at is none."""
    try:
        count = Alert.objects.filter(resolved_at=None).count()
        why = why_not_known()
    except DatabaseError as error:
        logger.debug("alerts.not_counted error=%s", error)
        return {"open": None, "why": AWAY}
    return {"open": None if why else count, "why": why}


def why_not_known() -> str:
    """Return why nobody knows what is open now, "" where it is known. Raises DatabaseError."""
    looked_at = AlertProgress.objects.values_list("looked_at", flat=True).first()
    if looked_at is None:
        return NOBODY_YET
    if timezone.now() - looked_at > SILENCE:
        return (
            f"nobody has evaluated alerts since {looked_at:%Y-%m-%d %H:%M} UTC: ./run alerts does"
        )
    return ""
