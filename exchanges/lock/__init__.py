"""One writer for each exchange: its lock and epoch, its status, and how it is told what to do."""
