"""Where files of history lie: a folder, or a bucket of an object store."""
