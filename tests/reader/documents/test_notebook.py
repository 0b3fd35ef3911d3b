"""docs/candles.ipynb, cell by cell, as a notebook runs it."""

import ast
import json

import pytest

from tests.reader.documents.streamed import as_rows, truth
from tests.warmup.runners import ROOT

CELLS = json.loads((ROOT / "docs/candles.ipynb").read_text())["cells"]


def run(cells):
    """Run cells after one another; yield what each shows behind its last line, if anything."""
    names = {"__name__": "__main__"}
    for source in cells:
        parsed = ast.parse(source)
        last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
        exec(compile(parsed, "cell", "exec"), names)
        yield last and eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_each_cell_of_the_notebook_runs_and_shows_something(either, capsys):
    sources = ["".join(each["source"]) for each in CELLS if each["cell_type"] == "code"]
    shown = []
    for found in run(sources):
        printed = capsys.readouterr().out
        assert (found is not None) or printed
        shown.append(printed if found is None else found)
    names, frame, stands_on, refused, stretch, live, together, values, told = shown
    assert "sandbox" in names
    hours = frame.index.as_unit("ms").asi8
    assert as_rows(frame) == truth(either, "BTC-USD", "1h", hours[-5:])
    assert stands_on["complete"] and stands_on["missing"] == []
    by_redis = "sandbox BTC-USD 1h: candles are missing between"
    assert refused.startswith((by_redis, "900 candles, all there"))
    assert len(stretch) == 20 and len(live) == 3 + live.attrs["livermore"].get("open", 0)
    assert together.to_numpy().diagonal() == pytest.approx(1)
    assert len(values) == 4
    assert told.startswith(("Close(", "Heartbeat("))


def test_the_notebook_keeps_no_output():
    assert not any(each.get("outputs") or each.get("execution_count") for each in CELLS)
