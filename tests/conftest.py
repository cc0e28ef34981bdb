"""What holds in all folders: shared probes, tags of one test alone, no property timed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from understudy_protocols import codec

sys.path.insert(0, str(Path(__file__).parent / "probes"))

# Where CI is set, Hypothesis has a profile of its own, which does the same and
# draws the same examples each time.
if not os.environ.get("CI"):
    settings.register_profile(
        "understudy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("understudy")


@pytest.fixture(autouse=True)
def _own_tags() -> Iterator[None]:
    """Let no test find a tag taken by a class of another one."""
    by_class, by_name = dict(codec._by_class), dict(codec._by_name)
    yield
    # What was loaded for the first time is not loaded, and so tagged, again.
    ours = [
        tag
        for tag in codec._by_class.values()
        if tag.cls.__module__.startswith("understudy")
    ]
    codec._by_class.clear()
    codec._by_class.update({**by_class, **{tag.cls: tag for tag in ours}})
    codec._by_name.clear()
    codec._by_name.update({**by_name, **{tag.name: tag for tag in ours}})
