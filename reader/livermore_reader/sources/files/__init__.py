"""Reading history from its Parquet files, where these are at hand."""
