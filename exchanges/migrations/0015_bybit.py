"""Add the row of Bybit, which waits until a person activates it.

The values are copied from its venue, whose shape may change after this migration.
"""

from django.db import migrations

PRESETS = [
    {
        "name": "bybit",
        "display_name": "Bybit",
        "venue": "bybit",
        "rest_url": "https://api.bybit.com",
        "ws_url": "wss://stream.bybit.com/v5/public",
        "pacing": "batch",
        "batch_size": 45,
        "batch_delay_ms": 417,
        "is_active": False,
    },
]


def add_presets(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for values in PRESETS:
        exchanges.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0014_binance_usdm")]
    operations = [migrations.RunPython(add_presets, migrations.RunPython.noop)]
