"""Parts of benchmarks that may be run alone."""
