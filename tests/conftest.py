"""How hard hypothesis tries: `make fuzz` tries harder; no example is judged by its time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("fuzz", deadline=None, max_examples=20_000, print_blob=True)
settings.register_profile("default", deadline=None)
# hypothesis has a profile of that name: the same examples every time, no deadline.
settings.load_profile("ci" if os.environ.get("CI") else "default")
