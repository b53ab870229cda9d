"""Where scored batches go."""
