"""The tools by the Model Context Protocol, over standard input and output."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import livermore_reader
from livermore_reader.client import Reader
from livermore_reader.errors import BadRequest, MissingCandles, ReaderError
from livermore_reader.mcp.arguments import schema, taken
from livermore_reader.mcp.tools import TOOLS, Tool

logger = logging.getLogger(__name__)

INSTRUCTIONS = (
    "Candles and MACD-V of crypto exchanges, read from Livermore's cache; nothing can be changed "
    "by them. The first lines of each answer say how complete and how old it is, and where it "
    "comes from. Where they say INCOMPLETE, STALE or UNAVAILABLE, say so to the user and draw no "
    "conclusion from what is there."
)
BY_NAME: Mapping[str, Tool] = {each.name: each for each in TOOLS}
READS_ALONE = types.ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)


def serve(url: str | None, token: str | None, prefix: str | None) -> None:
    """Answer until standard input ends. Raises BadRequest for an address that is none."""
    with livermore_reader.connect(url, token, prefix) as reader:
        asyncio.run(_serve(reader))


async def _serve(reader: Reader) -> None:
    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(each) for each in TOOLS])

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await asyncio.to_thread(answer, reader, params.name, params.arguments or {})

    server: Server[Any] = Server(
        "livermore",
        version=livermore_reader.__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def answer(reader: Reader, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    """Return what a tool says; what it can't say is one line, and an error."""
    try:
        if name not in BY_NAME:
            raise BadRequest(f"there is no tool {name[:50]!r}; known: {', '.join(BY_NAME)}")
        tool = BY_NAME[name]
        return _result(tool.answer(reader, **taken(tool.parameters, arguments)))
    except BadRequest as error:
        return _result(f"WRONG REQUEST: {error}", is_error=True)
    except MissingCandles as error:
        return _result(f"INCOMPLETE, nothing is handed out: {error}", is_error=True)
    except ReaderError as error:
        return _result(
            f"UNAVAILABLE: {error}; nothing is known now, and earlier answers may be old",
            is_error=True,
        )
    except Exception as error:  # of ours: the assistant is told, and the next call is answered
        logger.exception("tool.failed name=%s", name)
        return _result(f"UNAVAILABLE: a fault of livermore-mcp, {type(error).__name__}", True)


def _result(text: str, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], is_error=is_error
    )


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=schema(tool.parameters),
        annotations=READS_ALONE,
    )
