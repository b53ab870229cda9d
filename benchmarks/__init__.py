"""Programs that measure; each prints a table, or JSON with --json."""
