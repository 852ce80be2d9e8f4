"""Settings that all tests share."""

import os

from hypothesis import HealthCheck, settings

# Generated models run torch, whose first call is slow and says nothing: no deadline. In CI the same examples are drawn
# every time, so a failure there is one of the change, not of the draw.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
