"""Let a row say whether its exchange shall run; the sandbox does, from the start."""

from django.db import migrations, models


def run_the_sandbox(apps, schema_editor):
    exchanges = apps.get_model("exchanges", "Exchange").objects.using(schema_editor.connection.alias)
    exchanges.filter(name="sandbox").update(wanted="running")


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
        migrations.RunPython(run_the_sandbox, migrations.RunPython.noop),
    ]
