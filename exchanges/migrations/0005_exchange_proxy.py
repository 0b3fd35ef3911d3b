from django.db import migrations, models

import exchanges.validators


class Migration(migrations.Migration):
    dependencies = [("exchanges", "0004_operate_and_take_over")]
    operations = [
        migrations.AddField(
            model_name="exchange",
            name="proxy",
            field=models.CharField(
                blank=True,
                default="",
                help_text="http://, https:// or socks5h://host:port; where it wants a password, "
                "the name of an environment variable LIVERMORE_PROXY_… that holds all of it. "
                "Empty: none.",
                max_length=200,
                validators=[exchanges.validators.validate_proxy],
            ),
        ),
    ]
