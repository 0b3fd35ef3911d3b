"""The addresses of the Network page, below /admin/network/."""

from django.urls import path

from warmup.network import views
from warmup.network.actions import accounts as setup

app_name = "network"

urlpatterns = [
    path("", views.page, name="page"),
    path("signals/", views.signals, name="signals"),
    path("<int:exchange_id>/connect/", views.connect, name="connect"),
    path("<int:exchange_id>/stop/", views.stop, name="stop"),
    path("<int:exchange_id>/warmup/", views.warm, name="warmup"),
    path("<int:exchange_id>/repair/", views.repair, name="repair"),
    path("<int:exchange_id>/add-symbols/", views.add_symbols, name="add-symbols"),
    path("<int:exchange_id>/remove-symbols/", views.remove_symbols, name="remove-symbols"),
    path("<int:exchange_id>/choose-symbols/", views.choose_symbols, name="choose-symbols"),
    path("<int:exchange_id>/add-most-traded/", views.add_most_traded, name="add-most-traded"),
    path("<int:exchange_id>/undo-symbols/", views.undo_symbols, name="undo-symbols"),
    path("<int:exchange_id>/sync-symbols/", views.sync_symbols, name="sync-symbols"),
    path("<int:exchange_id>/check/", views.check, name="check"),
    path("<int:exchange_id>/symbols/", views.symbols, name="symbols"),
    path("<int:exchange_id>/setup/", setup.setup, name="setup"),
    path("<int:exchange_id>/setup/default/", setup.make_default, name="default-account"),
    path("<int:exchange_id>/setup/delete/", setup.delete, name="delete-account"),
    path("<int:exchange_id>/past/", views.past, name="past"),
    # A symbol may hold any character but a colon and a space, a slash too.
    path("<int:exchange_id>/pairs/<path:symbol>/<str:timeframe>/", views.pair, name="pair"),
]
