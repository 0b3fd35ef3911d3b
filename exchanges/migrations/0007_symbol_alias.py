from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0006_symbols_that_end")]
    operations = [
        migrations.AddField(
            model_name="symbol",
            name="alias",
            field=models.CharField(blank=True, default="", max_length=100),
        ),
    ]
