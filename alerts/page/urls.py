"""The address of the drawer of alerts, below /admin/network/."""

from django.urls import path

from alerts.page import views

app_name = "alerts"

urlpatterns = [path("", views.alerts, name="page")]
