from contextlib import suppress

from django_redis import get_redis_connection

from alerts.evaluating.service import AlertService
from alerts.events.sources import all_sources
from livermore.command import LivermoreCommand, SignalExit
from livermore.web.database_faults import wait_briefly


class Command(LivermoreCommand):
    help = (
        "Evaluate alerts and tell people, until it is told to end: one process at a time does, "
        "others wait to take over. Exit status: 0 ended as asked, 1 something failed."
    )

    def handle(self, **options):
        wait_briefly()
        service = AlertService(get_redis_connection("default"), all_sources())
        with suppress(OSError, ValueError):  # nobody reads
            self.stdout.write("Alerts: looking at what there is to tell")
            self.stdout.flush()
        with suppress(KeyboardInterrupt, SignalExit):
            service.run()
