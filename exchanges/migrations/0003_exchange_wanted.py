from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0002_presets")]
    operations = [
        migrations.AddField(
            model_name="exchange",
            name="wanted",
            field=models.CharField(
                choices=[("running", "running"), ("stopped", "stopped")],
                default="stopped",
                help_text="Whether an agent, on whichever machine, keeps it warm and live.",
                max_length=10,
            ),
        ),
    ]
