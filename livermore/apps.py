from django.apps import AppConfig


class LivermoreConfig(AppConfig):
    name = "livermore"

    def ready(self):
        from livermore import checks  # noqa: F401  importing it registers the checks
        from livermore.observing.logs import log_last_words

        log_last_words()
