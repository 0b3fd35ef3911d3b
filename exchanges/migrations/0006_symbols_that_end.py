from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):

    dependencies = [
        ('exchanges', '0005_exchange_proxy'),
    ]

    operations = [
        migrations.AddField(
            model_name='exchange',
            name='listed_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='symbol',
            name='renamed_to',
            field=models.CharField(blank=True, default='', editable=False, max_length=100),
        ),
        migrations.AddField(
            model_name='symbol',
            name='status_since',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='symbol',
            name='status',
            field=models.CharField(choices=[('trading', 'trading'), ('halted', 'halted'), ('delisted', 'delisted'), ('renamed', 'renamed')], default='trading', max_length=10),
        ),
        migrations.RemoveConstraint(
            model_name='symbol',
            name='symbols_one_per_native_name',
        ),
        migrations.AddConstraint(
            model_name='symbol',
            constraint=models.UniqueConstraint(condition=~Q(status__in=['delisted', 'renamed']), fields=['exchange', 'native_symbol'], name='symbols_one_per_native_name'),
        ),
    ]
