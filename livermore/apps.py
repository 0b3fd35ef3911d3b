from django.apps import AppConfig


class LivermoreConfig(AppConfig):
    name = "livermore"

    def ready(self):
        from livermore import checks  # noqa: F401  importing it registers the checks
