from django.apps import AppConfig
from django.conf import settings

from livermore.market.naming import Naming, name_as


class LivermoreConfig(AppConfig):
    name = "livermore"

    def ready(self):
        from livermore import checks  # noqa: F401  importing it registers the checks
        from livermore.observing.logs import log_last_words

        name_as(
            Naming(
                settings.LIVERMORE_KEY_PREFIX,
                settings.LIVERMORE_KEY_TAGS,
                settings.LIVERMORE_PACING_PREFIX,
            )
        )
        log_last_words()
