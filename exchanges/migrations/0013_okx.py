"""Add OKX, inactive until a person activates it.

The values are copied from exchanges/venues/okx, whose shape may change after this migration.
"""

from django.db import migrations

PRESETS = [
    {
        "name": "okx",
        "display_name": "OKX",
        "venue": "okx",
        "rest_url": "https://www.okx.com",
        "ws_url": "wss://ws.okx.com:8443/ws/v5",
        "pacing": "batch",
        "batch_size": 18,
        "batch_delay_ms": 2100,
        "is_active": False,
    },
]


def add_presets(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for values in PRESETS:
        exchanges.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0012_symbol_kind")]
    operations = [migrations.RunPython(add_presets, migrations.RunPython.noop)]
