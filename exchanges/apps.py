from django.apps import AppConfig


class ExchangesConfig(AppConfig):
    name = "exchanges"

    def ready(self):
        from exchanges.redis.row_notifications import tell_of_saved_rows  # it needs models

        tell_of_saved_rows()
