"""Source as its grammar sees it: what is defined, on which lines, and under which names."""
