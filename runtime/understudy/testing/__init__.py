"""The test kit: seeded schedules, virtual time, and hangs that fail at once."""

from __future__ import annotations

from understudy.testing.hang import HangError
from understudy.testing.schedule import run_seeded, schedule_signature, seeds

__all__ = ["HangError", "run_seeded", "schedule_signature", "seeds"]
