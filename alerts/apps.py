from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self):
        # They need the models.
        from alerts.page.summary import read_summary
        from warmup.network.socket.others import tell_everybody

        tell_everybody("alerts", read_summary)
