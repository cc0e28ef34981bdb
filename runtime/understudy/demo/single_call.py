"""The demo's baseline: one call of the largest tier, and take what comes.

No validation, no second attempt, no timeout of its own: what a first version of
such a program looks like.
"""

from __future__ import annotations

import math

import msgspec

from understudy.demo.extraction import Extraction
from understudy.demo.tier_models import prompt
from understudy.demo.tiers import Tier
from understudy.demo.workflow import Feedback
from understudy.workflows.attempt import Attempt
from understudy.workflows.context import Context
from understudy.workflows.step import step
from understudy_protocols.retry import RetryConfig


@step(retry=RetryConfig(max_attempts=1, timeout_seconds=math.inf))
async def single_call(
    context: Context[Feedback], attempt: Attempt[object]
) -> Extraction:
    """Ask once, and read the answer as it is."""
    model = attempt.models[Tier.LARGE.value]
    reply = await model.complete(prompt(context.input.text))
    return msgspec.json.decode(reply.value, type=Extraction)
