"""Where lines come from: each receiver drains its source into the queue."""
