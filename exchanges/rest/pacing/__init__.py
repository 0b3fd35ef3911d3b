"""When a call may go out: kept in Redis, so that all processes on one address share it."""
