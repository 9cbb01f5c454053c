"""Settings of all tests; ``--hypothesis-profile=fuzz`` is what `make fuzz` uses."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=100)
settings.register_profile("fuzz", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("repeatable")
