"""Write what is made from the table of metrics, or say which of it is out of date."""

import sys

from tests.observe import alert_rules, dashboard

MADE = (alert_rules, dashboard)


def main(arguments: list[str]) -> int:
    """Do it; return 1 where something is out of date and stays so."""
    old = [each for each in MADE if not is_current(each)]
    for each in old:
        if "--write" in arguments:
            each.PATH.write_text(each.written(), encoding="utf-8")
        print(("written: " if "--write" in arguments else "out of date: ") + str(each.PATH))
    return 1 if old and "--write" not in arguments else 0


def is_current(made) -> bool:
    """Tell whether a file is what it would be if it were written now."""
    return made.PATH.is_file() and made.PATH.read_text(encoding="utf-8") == made.written()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
