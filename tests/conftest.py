"""What holds in all folders: where shared probes are, and that no property is timed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent / "probes"))

# Where CI is set, Hypothesis has a profile of its own, which does the same and
# draws the same examples each time.
if not os.environ.get("CI"):
    settings.register_profile(
        "understudy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("understudy")
