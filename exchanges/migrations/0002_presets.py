"""Add the exchanges that are known from the start.

The values are copied from exchanges/presets.py, whose shape may change after this migration.
"""

from django.db import migrations

PRESETS = [
    {
        "name": "binance",
        "display_name": "Binance",
        "venue": "binance",
        "rest_url": "https://api.binance.com",
        "ws_url": "wss://stream.binance.com:9443",
        "pacing": "weight",
    },
    {
        "name": "binance_us",
        "display_name": "Binance.US",
        "venue": "binance",
        "rest_url": "https://api.binance.us",
        "ws_url": "wss://stream.binance.us:9443",
        "pacing": "weight",
    },
    {
        "name": "coinbase",
        "display_name": "Coinbase",
        "venue": "coinbase",
        "rest_url": "https://api.coinbase.com/api/v3/brokerage",
        "ws_url": "wss://advanced-trade-ws.coinbase.com",
        "pacing": "batch",
    },
    {
        "name": "sandbox",
        "display_name": "Sandbox",
        "venue": "binance",
        "rest_url": "http://127.0.0.1:8899",
        "ws_url": "ws://127.0.0.1:8899",
        "pacing": "weight",
    },
]


def add_presets(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for values in PRESETS:
        exchanges.get_or_create(name=values["name"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0001_initial")]
    operations = [migrations.RunPython(add_presets, migrations.RunPython.noop)]
