from contextlib import suppress

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django_redis import get_redis_connection

from history.audit.nightly import NightlyAudits
from livermore.command import LivermoreCommand, SignalExit
from livermore.web.database_faults import wait_briefly
from warmup.network.past.watch import PastWatch
from warmup.processes.fork_server import ForkServer, ForkServerDied
from warmup.processes.processes import Processes
from warmup.processes.worker import work
from warmup.runner.agent import Agent

INSTEAD = "let exchanges run in the agent's own (LIVERMORE_AGENT_PROCESSES=0)"


class Command(LivermoreCommand):
    help = (
        "Keep the exchanges warm and live that the database wants to run, as far as no other "
        "machine does: start one on each machine, and another takes over when one dies. "
        "Exit status: 0 ended as asked, 1 something failed."
    )

    def handle(self, **options):
        wait_briefly()
        server = None
        if most := settings.LIVERMORE_AGENT_PROCESSES:
            # Nothing is open and no thread runs in what is forked from here on.
            connections.close_all()
            get_redis_connection("default").close()
            server = ForkServer(work, INSTEAD)
        redis = get_redis_connection("default")
        place = Processes(server, redis, most, self._say) if server else None
        agent = Agent(redis, self._say, place)
        self._say("agent: looking after the exchanges that are wanted")
        try:
            with PastWatch(redis, agent.agent_id), NightlyAudits(redis):
                agent.run()
        except (KeyboardInterrupt, SignalExit):
            return  # what ran here was ended in order
        except ForkServerDied as error:
            raise CommandError(f"the process that forks others ended: {error}") from error

    def _say(self, text):
        with suppress(OSError, ValueError):  # a full disk, or nobody who reads, ends nothing
            self.stdout.write(text)
            self.stdout.flush()
