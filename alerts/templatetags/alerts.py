"""How many alerts are open, for the head of all pages."""

from collections.abc import Mapping
from typing import Any

from django import template

from alerts.page.summary import read_summary
from warmup.network.permission import may_view

register = template.Library()


@register.simple_tag(takes_context=True)
def open_alerts(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is known of open alerts; None for who may not see them."""
    user = context.get("user")
    return read_summary() if user is not None and may_view(user) else None
