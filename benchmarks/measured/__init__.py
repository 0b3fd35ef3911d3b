"""What is measured: a module for each benchmark, whose `measure(bench)` yields measurements."""
