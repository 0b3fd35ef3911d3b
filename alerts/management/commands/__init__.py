"""Commands of alerts: the evaluator, and what a person tries or reads."""
