"""History as others see it: files of months and their manifest, read and written together."""
