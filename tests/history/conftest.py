import pytest

from history.places.folder import Folder


@pytest.fixture
def folder(tmp_path, settings):
    """Return the folder in which history is kept, for commands too."""
    settings.HISTORY = str(tmp_path / "history")
    return Folder(tmp_path / "history")
