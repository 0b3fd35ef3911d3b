import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Say of an API client's limits what they are."""

    dependencies = [("serving", "0001_api_client")]

    operations = [
        migrations.AlterField(
            model_name="apiclient",
            name="requests_per_second",
            field=models.PositiveIntegerField(
                default=50,
                help_text="So many requests it may send in a second; more are answered with HTTP 429.",
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
        migrations.AlterField(
            model_name="apiclient",
            name="sockets",
            field=models.PositiveIntegerField(
                default=20,
                help_text="So many WebSockets and event streams it may have open at a time.",
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
    ]
