"""Does an exchange work from here? Every step from its row to live frames, tried and told."""

from warmup.harness.check import ExchangeCheck
from warmup.harness.report import CheckReport, Result, Step

__all__ = ["CheckReport", "ExchangeCheck", "Result", "Step"]
