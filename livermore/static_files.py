"""Static files, compressed when they are first asked for: nothing has to be prepared before."""

import gzip
import re
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

TYPES = re.compile(r"text/|application/(javascript|json)|image/svg\+xml")
ACCEPTED = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")
LEAST_BYTES = 1024  # what fits into one packet anyhow is left as it is
FILES_KEPT = 256  # in memory; all that are there are fewer, and take two megabytes


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Serves static files as WhiteNoise does, smaller to browsers that take it so."""

    @staticmethod
    def serve(static_file, request: HttpRequest) -> HttpResponse:
        whole = WhiteNoiseMiddleware.serve(static_file, request)
        if not TYPES.match(whole.headers.get("Content-Type", "")):
            return whole
        patch_vary_headers(whole, ["Accept-Encoding"])
        size = int(whole.headers.get("Content-Length", 0))
        if whole.status_code != 200 or request.method != "GET" or size < LEAST_BYTES:
            return whole
        if not ACCEPTED.search(request.headers.get("Accept-Encoding", "")):
            return whole
        whole.close()
        path = static_file.alternatives[-1][1]
        body = _compressed(path, whole.headers.get("ETag", ""))
        response = HttpResponse(body, headers=dict(whole.headers))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(body))
        return response


@lru_cache(maxsize=FILES_KEPT)
def _compressed(path: str, etag: str) -> bytes:
    """Return a file's content compressed; `etag` changes when the file does."""
    return gzip.compress(Path(path).read_bytes(), compresslevel=6, mtime=0)
