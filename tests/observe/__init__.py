"""What Prometheus and Grafana are given, made from the table of metrics in docs/metrics.md.

`python -m tests.observe --write` writes the files below deploy/ anew.
"""
