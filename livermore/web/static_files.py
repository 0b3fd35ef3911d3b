"""Static files, read and compressed when they are first asked for: nothing is prepared before."""

import gzip
import re
import threading
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

TYPES = re.compile(r"text/|application/(javascript|json)|image/svg\+xml")
ACCEPTED = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")
LEAST_BYTES = 1024  # what fits into one packet anyhow is left as it is
LARGEST_PART_BYTES = 64 * 1024
FILES_KEPT = 512  # in memory, whole or compressed; all that are there take ten megabytes

_reading = threading.Lock()  # else all who ask first read it at once


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Serves static files as WhiteNoise does, smaller to browsers that take it so.

    All who ask for a file are given the same bytes: Django would read a file that it sends by
    itself into memory for each of them. So a large part of a file (`Range`) is not served either,
    but the whole in its place.
    """

    @staticmethod
    def serve(static_file, request: HttpRequest) -> HttpResponse:
        whole = WhiteNoiseMiddleware.serve(static_file, request)
        if whole.status_code == 206 and int(whole.headers["Content-Length"]) > LARGEST_PART_BYTES:
            whole.close()
            del request.META["HTTP_RANGE"]
            whole = WhiteNoiseMiddleware.serve(static_file, request)
        is_text = TYPES.match(whole.headers.get("Content-Type", ""))
        if is_text:
            patch_vary_headers(whole, ["Accept-Encoding"])
        if whole.status_code != 200 or request.method != "GET":
            return whole
        whole.close()
        size = int(whole.headers.get("Content-Length", 0))
        accepts = ACCEPTED.search(request.headers.get("Accept-Encoding", ""))
        is_compressed = bool(is_text and accepts and size >= LEAST_BYTES)
        path = static_file.alternatives[-1][1]
        with _reading:
            body = _content(path, whole.headers.get("ETag", ""), is_compressed)
        response = HttpResponse(body, headers=dict(whole.headers))
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(body))
        return response


@lru_cache(maxsize=FILES_KEPT)
def _content(path: str, etag: str, is_compressed: bool) -> bytes:
    """Return a file's content; `etag` changes when the file does."""
    content = Path(path).read_bytes()
    return gzip.compress(content, compresslevel=6, mtime=0) if is_compressed else content
