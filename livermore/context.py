"""What every page can tell."""

from django.http import HttpRequest

from livermore import __version__


def version(request: HttpRequest) -> dict[str, str]:
    """Return the version, for the foot of a page."""
    return {"livermore_version": __version__}
