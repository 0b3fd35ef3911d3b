import django.db.models.deletion
from django.db import migrations, models

import exchanges.validators


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0007_symbol_alias")]
    operations = [
        migrations.AddField(
            model_name="exchange",
            name="account",
            field=models.ForeignKey(
                blank=True,
                help_text="Whose key its calls are signed with. None: public candles only, "
                "without a key.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="used_by",
                to="exchanges.userexchange",
            ),
        ),
        migrations.AlterField(
            model_name="userexchange",
            name="api_key_env",
            field=models.CharField(
                "key variable",
                blank=True,
                help_text="The name of the environment variable that holds the key, never the key "
                "itself.",
                max_length=255,
                validators=[exchanges.validators.validate_env_shape],
            ),
        ),
        migrations.AlterField(
            model_name="userexchange",
            name="api_secret_env",
            field=models.CharField(
                "secret variable",
                blank=True,
                max_length=255,
                validators=[exchanges.validators.validate_env_shape],
            ),
        ),
        migrations.AlterField(
            model_name="userexchange",
            name="passphrase_env",
            field=models.CharField(
                "passphrase variable",
                blank=True,
                max_length=255,
                validators=[exchanges.validators.validate_env_shape],
            ),
        ),
    ]
