"""Add Kraken, inactive until a person activates it.

The values are copied from exchanges/venues/kraken, whose shape may change after this migration.
"""

from django.db import migrations

PRESETS = [
    {
        "name": "kraken",
        "display_name": "Kraken",
        "venue": "kraken",
        "rest_url": "https://api.kraken.com",
        "ws_url": "wss://ws.kraken.com/v2",
        "pacing": "batch",
        "batch_size": 1,
        "batch_delay_ms": 1112,
        "is_active": False,
    },
]


def add_presets(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for values in PRESETS:
        exchanges.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0015_bybit")]
    operations = [migrations.RunPython(add_presets, migrations.RunPython.noop)]
