import pkgutil
from importlib import import_module
from operator import itemgetter
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from exchanges import migrations
from exchanges.models import Exchange
from exchanges.presets import presets
from exchanges.venues import VENUES

ALL = [
    import_module(f"{migrations.__name__}.{each.name}")
    for each in pkgutil.iter_modules(migrations.__path__)
]
ADDING = [each for each in ALL if hasattr(each, "PRESETS")]
ROWS = [values for each in ADDING for values in each.PRESETS]
archives = import_module("exchanges.migrations.0009_exchange_archive")
FIELDS = ("name", "display_name", "rest_url", "ws_url", "pacing", "is_active")
TOLD = ("venue", *FIELDS)  # of a migration's row; others are looked at apart

by_name = itemgetter("name")


def add_presets():
    for migration in ADDING:
        migration.add_presets(apps, SimpleNamespace(connection=connection))


def told(values):
    """Return the values of a migration's row that a preset has too."""
    return {"is_active": True} | {name: values[name] for name in values if name in TOLD}


def test_the_migrations_hold_the_presets_values():
    found = [
        {"venue": venue.name} | {field: getattr(preset, field) for field in FIELDS}
        for venue in VENUES.values()
        for preset in venue.presets
    ]
    assert sorted(found, key=by_name) == sorted(map(told, ROWS), key=by_name)


@pytest.mark.parametrize("values", ROWS, ids=lambda values: values["name"])
def test_a_row_comes_with_the_pace_that_its_venue_allows(values):
    limit, preset = VENUES[values["venue"]].calls, Exchange(**values)
    if limit is None or not limit.is_published:
        assert not {"batch_size", "batch_delay_ms"} & set(values)
    else:
        paces = (preset.batch_size, preset.batch_delay_ms)
        assert paces == (limit.batch_size, limit.batch_delay_ms)


@pytest.mark.django_db
@pytest.mark.parametrize("values", ROWS, ids=lambda values: values["name"])
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
