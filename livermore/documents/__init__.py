"""The project's own documents as web pages, below /docs/."""
