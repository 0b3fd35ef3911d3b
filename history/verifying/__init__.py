"""Are the files of history what was written? What differs is named, and mended when asked."""
