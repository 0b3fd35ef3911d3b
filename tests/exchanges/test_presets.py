from importlib import import_module
from operator import itemgetter
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from exchanges.models import Exchange
from exchanges.presets import presets
from exchanges.venues import VENUES

migration = import_module("exchanges.migrations.0002_presets")
archives = import_module("exchanges.migrations.0009_exchange_archive")
FIELDS = ("name", "display_name", "rest_url", "ws_url", "pacing")

by_name = itemgetter("name")


def add_presets():
    migration.add_presets(apps, SimpleNamespace(connection=connection))


def test_the_migration_holds_the_presets_values():
    found = [
        {"venue": venue.name} | {field: getattr(preset, field) for field in FIELDS}
        for venue in VENUES.values()
        for preset in venue.presets
    ]
    assert sorted(found, key=by_name) == sorted(migration.PRESETS, key=by_name)


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
    assert {*presets()} == {*Exchange.objects.values_list("name", flat=True)}


def set_archives():
    archives.set_archives(apps, SimpleNamespace(connection=connection))


@pytest.mark.django_db
def test_rows_that_are_as_they_came_learn_where_candles_are_published_in_bulk():
    found = dict(Exchange.objects.values_list("name", "archive_url"))
    assert found == {name: preset.archive_url for name, preset in presets().items()}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changed",
    [{"rest_url": "https://api-gcp.binance.com"}, {"archive_url": "https://a.example.com"}],
)
def test_a_row_that_a_person_changed_keeps_its_archive(changed):
    Exchange.objects.filter(name="binance").update(**{"archive_url": ""} | changed)
    set_archives()
    assert Exchange.objects.get(name="binance").archive_url == changed.get("archive_url", "")
