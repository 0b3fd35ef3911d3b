"""The OpenAPI document as a program has it, and what it says of an answer."""

from functools import cache

import orjson
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from serving.native.document import document

NAME = "urn:document"


@cache
def described():
    """Return the document's content."""
    return orjson.loads(document())


@cache
def _registry():
    resource = Resource(contents=described(), specification=DRAFT202012)
    return Registry().with_resource(NAME, resource)


def operations():
    """Return what each path answers to GET."""
    return {path: item["get"] for path, item in described()["paths"].items()}


def parameters(path):
    """Return the parameters of a path, by name."""
    return {each["name"]: each for each in operations()[path]["parameters"]}


def response_to(path, status):
    """Return what the document says of an answer with that status; KeyError where it has none."""
    return resolved(operations()[path]["responses"][str(status)])


def resolved(found):
    """Return what a `$ref` of the document leads to."""
    while "$ref" in found:
        *parts, name = found["$ref"].removeprefix("#/").split("/")
        node = described()
        for part in (*parts, name):
            node = node[part]
        found = node
    return found


def check(content, schema):
    """Hold a value to a schema of the document, whose references are those of the document."""
    rooted = orjson.loads(orjson.dumps(schema).replace(b'"#/', b'"' + NAME.encode() + b"#/"))
    Draft202012Validator(rooted, registry=_registry(), format_checker=FormatChecker()).validate(
        content
    )


def check_answer(path, status, headers, body):
    """Hold an answer to the document: its status, form, headers, and JSON to its schema."""
    told = response_to(path, status)
    form = headers["Content-Type"].partition(";")[0]
    assert form in told["content"], form
    for name, header in told.get("headers", {}).items():
        found = resolved(header)
        kind, text = found["schema"], headers.get(name)
        if text is None:
            assert not found.get("required"), name
            continue
        check(int(text) if kind.get("type") == "integer" else text, kind)
    if form == "application/json":
        check(orjson.loads(body), told["content"][form]["schema"])
