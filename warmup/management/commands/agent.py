from django_redis import get_redis_connection

from livermore.command import LivermoreCommand, SignalExit
from livermore.web.database_faults import wait_briefly
from warmup.runner.agent import Agent


class Command(LivermoreCommand):
    help = (
        "Keep the exchanges warm and live that the database wants to run, as far as no other "
        "machine does: start one on each machine, and another takes over when one dies. "
        "Exit status: 0 ended as asked, 1 something failed."
    )

    def handle(self, **options):
        wait_briefly()
        agent = Agent(get_redis_connection("default"), self.stdout.write)
        self.stdout.write("agent: looking after the exchanges that are wanted")
        self.stdout.flush()
        try:
            agent.run()
        except (KeyboardInterrupt, SignalExit):
            return  # what ran here was ended in order
