"""The project: settings, commands' base, what `./run` does, the embedded Redis."""

__version__ = "0.2.0"  # of the newest release in CHANGELOG.md
