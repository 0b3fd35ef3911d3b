"""An origin, as browsers name where a page is from: scheme, host, and a port that is unusual."""

import re

ORIGIN = re.compile(r"(https?)://([a-z0-9._*-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
USUAL_PORTS = {"http": 80, "https": 443}


def normal(origin: str) -> str:
    """Return an origin as two of them can be compared; empty for what is none, such as null."""
    found = ORIGIN.fullmatch(origin.strip().lower())
    if found is None:
        return ""
    scheme, host, port = found.groups()
    usual = port is None or int(port) == USUAL_PORTS[scheme]
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{int(port)}"
