"""Settings of hypothesis for all tests: no deadline (the first call of a kernel compiles it), and the same examples every time in CI."""

import os

from hypothesis import settings

settings.register_profile("development", deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("development"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "development")
