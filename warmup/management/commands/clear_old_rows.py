"""Delete expired sessions and old entries of the admin's log, as the agent does each day."""

from livermore.command import LivermoreCommand, UsageError
from warmup.runner.old_rows import LOG_DAYS, clear_old_rows

LONGEST_DAYS = 36_500


class Command(LivermoreCommand):
    help = (
        "Delete sessions that have expired, entries of the log of who did what that are older than "
        "a year, and what became of exchanges more than a month ago. The agent does the same once "
        "a day. Exit status: 0 done, 1 something failed."
    )
    needs_redis = False

    def add_arguments(self, parser):
        parser.add_argument(
            "--log-days",
            type=int,
            default=LOG_DAYS,
            metavar="DAYS",
            help=f"for how long the log is kept (default: {LOG_DAYS})",
        )

    def handle(self, **options):
        if not 0 <= options["log_days"] <= LONGEST_DAYS:
            raise UsageError(f"--log-days is a number of days, from 0 to {LONGEST_DAYS}")
        counts = clear_old_rows(options["log_days"])
        self.stdout.write(
            f"cleared {counts['sessions']} sessions, {counts['log']} log entries and "
            f"{counts['episodes']} episodes of exchanges"
        )
