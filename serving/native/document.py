"""The OpenAPI document of /v1/, made of what the code itself goes by (spec.openapis.org, 3.1)."""

from functools import cache
from typing import Any

import orjson

from livermore.market.candle import LATEST_MS
from serving.native.errors import JSON
from serving.native.operations import ARROW, EVENTS, OPERATIONS, Operation
from serving.native.parameters import Parameter
from serving.native.schemas import COLUMNS, SCHEMAS, SOURCE, ref
from serving.standing.cache_status import HIT, MISS, PARTIAL

VERSION = "1.0"
TITLE = "Livermore: candles for programs"
ABOUT = """\
Closed candles of several exchanges, as complete as they are, out of a cache that is kept live.

Times are UTC epoch milliseconds; prices are in a symbol's quote currency, volumes in its base
currency. What is refused is told as `{"error": …}`, a line for a person. A parameter that is not
known is refused as well, and so is one that is given twice.

On a loopback address nobody needs a token; elsewhere it is that of an API client: as Bearer, as the
password of Basic with any name, or in the path (the second server)."""

HEADERS: dict[str, dict[str, Any]] = {
    "Age": {
        "description": "Seconds since the end of the newest closed candle that is known, if any.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Cache-Control": {
        "required": True,
        "description": "Nothing of it is to be stored on its way.",
        "schema": {"const": "no-store"},
    },
    "Cache-Status": {
        "required": True,
        "description": "Whether all was in the cache, nothing of it, or a part (RFC 9211).",
        "schema": {"enum": [HIT, MISS, PARTIAL]},
    },
    "Retry-After": {
        "required": True,
        "description": "In how many seconds to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Vary": {
        "required": True,
        "description": "Its form is by that header.",
        "schema": {"const": "Accept"},
    },
    "X-Livermore-Complete": {
        "required": True,
        "description": "1: no bar is missing.",
        "schema": {"const": "1"},
    },
    "X-Livermore-Newest-Close": {
        "description": "The end of the newest closed candle that is known, if any, in UTC epoch "
        "milliseconds.",
        "schema": {"type": "integer", "maximum": LATEST_MS},
    },
    "X-Livermore-Source": {
        "description": "As `source` in the answer; not there where that is null.",
        "schema": {"type": "string", "pattern": SOURCE},
    },
}

STATUSES = {
    400: "A parameter is missing, wrong, not known or given twice.",
    401: "The token is none of an active API client's, or one is needed and none was sent.",
    404: "There is no such exchange, it has no such symbol, or it tells of nothing as old as what "
    "is asked for: then `missing` has the stretches.",
    406: "None of the forms is accepted in which it can be told. Arrow can't be where its library "
    "is not installed: the line says what to install.",
    429: "The API client sends more a second than it may, or has too many connections open.",
    503: "What is true can't be told now: candles are missing and can't be fetched in time, or "
    "the cache or the database can't be read.",
}
WAITS = (429, 503)  # which say when to ask again

ARROW_SCHEMA = {
    "contentMediaType": ARROW,
    "description": "A stream of record batches. Columns as in JSON: `timestamp` is "
    "timestamp[ms, tz=UTC], `trades` int64, all others float64; of "
    f"{', '.join(COLUMNS[6:])} what is not known is null. The schema's metadata has under the key "
    "`livermore` the answer in JSON without `columns` and `candles`.",
}
EVENTS_SCHEMA = {
    "type": "string",
    "description": 'UTF-8, as html.spec.whatwg.org has it under "Server-sent events": blocks of '
    "`event`, `data` (JSON) and `id`. `x-events` has the schema of the data of each event.",
}


@cache
def document() -> bytes:
    """Return it as JSON."""
    return orjson.dumps(contents())


def contents() -> dict[str, Any]:
    """Return it."""
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": ABOUT},
        "servers": [
            {"url": "/", "description": "where this document is from"},
            {
                "url": "/k/{token}",
                "description": "the same, with the token in the path",
                "variables": {"token": {"default": "TOKEN"}},
            },
        ],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "paths": {f"/v1/{each.path}": {"get": _described(each)} for each in OPERATIONS.values()},
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "responses": {str(status): _refused(status) for status in STATUSES},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def statuses(operation: Operation) -> list[int]:
    """Return with which statuses it may be refused."""
    return [status for status in STATUSES if status != 404 or operation.is_about_one]


def _described(operation: Operation) -> dict[str, Any]:
    refused = {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses(operation)
    }
    told = {
        "description": "It is told.",
        "headers": {name: _header(name) for name in operation.headers},
        "content": {form: _content(form, name) for form, name in operation.forms.items()},
    }
    return {
        "operationId": operation.path.partition(".")[0],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": {"200": told} | refused,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema()
    found = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.meaning,
        "required": parameter.is_required,
        "schema": schema,
    }
    if schema.get("type") == "array":
        found |= {"style": "form", "explode": False, "example": [parameter.example]}
    else:
        found |= {"example": parameter.example}
    return found


def _content(form: str, schema: str) -> dict[str, Any]:
    if form == ARROW:
        return {"schema": ARROW_SCHEMA}
    if form == EVENTS:
        kinds = {"close": ref("Close"), "gap": ref("Gap"), "state": ref("State")}
        return {"schema": EVENTS_SCHEMA, "x-events": kinds}
    return {"schema": ref(schema) if schema else {"type": "object"}}


def _refused(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "description": STATUSES[status],
        "content": {JSON: {"schema": ref("Error")}},
    }
    if status in WAITS:
        found["headers"] = {"Retry-After": _header("Retry-After")}
    return found


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}
