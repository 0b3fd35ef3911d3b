"""Kraken's answers and frames, as its documents and callers of 2026 show them."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "payloads" / "kraken"


def recorded(name):
    return (FOLDER / f"{name}.json").read_bytes().strip()
