from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from exchanges.models import Exchange
from exchanges.presets import PRESETS

migration = import_module("exchanges.migrations.0002_presets")
FIELDS = ("name", "display_name", "venue", "rest_url", "ws_url", "pacing")


def add_presets():
    migration.add_presets(apps, SimpleNamespace(connection=connection))


def test_the_migration_holds_the_presets_values():
    presets = [{field: getattr(preset, field) for field in FIELDS} for preset in PRESETS.values()]
    assert presets == migration.PRESETS


@pytest.mark.django_db
@pytest.mark.parametrize("values", migration.PRESETS, ids=lambda values: values["name"])
def test_a_preset_is_a_valid_exchange(values):
    Exchange.objects.filter(name=values["name"]).delete()
    Exchange(**values).full_clean()


@pytest.mark.django_db
def test_a_preset_that_a_person_changed_is_not_overwritten():
    Exchange.objects.filter(name="binance").update(rest_url="https://data-api.binance.vision")
    add_presets()
    assert Exchange.objects.get(name="binance").rest_url == "https://data-api.binance.vision"


@pytest.mark.django_db
def test_a_new_database_has_the_presets():
    assert {*PRESETS} == {*Exchange.objects.values_list("name", flat=True)}
