"""Where candles are published in bulk, of those exchanges that do it.

It is set in rows which are as they came; what a person changed stays so.
"""

from django.db import migrations, models

import exchanges.validators

ARCHIVES = {  # by name and REST address
    ("binance", "https://api.binance.com"): "https://data.binance.vision",
    ("sandbox", "http://127.0.0.1:8899"): "http://127.0.0.1:8899",
}


def set_archives(apps, schema_editor):
    rows = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    for (name, rest_url), archive_url in ARCHIVES.items():
        found = rows.filter(name=name, venue="binance", rest_url=rest_url, archive_url="")
        found.update(archive_url=archive_url)


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0008_exchange_account")]
    operations = [
        migrations.AddField(
            model_name="exchange",
            name="archive_url",
            field=models.CharField(
                "archive address",
                blank=True,
                default="",
                help_text="Where candles are published in bulk, for history. Empty: nowhere.",
                max_length=200,
                validators=[exchanges.validators.validate_rest_url],
            ),
        ),
        migrations.RunPython(set_archives, migrations.RunPython.noop),
    ]
