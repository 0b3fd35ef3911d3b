"""Rules of a new installation: about everything that is wrong, on the page only."""

from django.db import migrations

RULES = (
    "hole", "stale", "unreachable", "hold", "ban", "lock_lost", "take_over", "holder_died",
    "agent_died", "warmup_failed", "redis_away", "redis_writes", "redis_evicts", "halted",
    "delisted", "renamed", "clock_skew", "audit_failed",
)


def add_rules(apps, schema_editor):
    rule = apps.get_model("alerts", "AlertRule")
    rule.objects.bulk_create([rule(what=each) for each in RULES])


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]
    operations = [migrations.RunPython(add_rules, migrations.RunPython.noop)]
