"""Add Binance's USD-M futures, inactive until a person activates them.

The values are copied from exchanges/venues/binance_usdm, whose shape may change after this.
"""

from django.db import migrations

PRESETS = [
    {
        "name": "binance_usdm",
        "display_name": "Binance USD-M",
        "venue": "binance_usdm",
        "rest_url": "https://fapi.binance.com",
        "ws_url": "wss://fstream.binance.com",
        "archive_url": "https://data.binance.vision",
        "pacing": "weight",
        "is_active": False,
    },
]


def add_presets(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for values in PRESETS:
        exchanges.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0013_okx")]
    operations = [migrations.RunPython(add_presets, migrations.RunPython.noop)]
