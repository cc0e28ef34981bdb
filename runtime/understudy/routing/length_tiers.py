"""Routing by the length of a text: the simplest measure of how hard an input is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import attrs

from understudy.workflows.context import Context
from understudy.workflows.policy import Decision
from understudy_protocols.articles import with_article
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, StepError

SIMPLE = "simple"
STANDARD = "standard"
COMPLEX = "complex"


@attrs.frozen
class LengthTiers:
    """Chooses ``simple``, ``standard`` or ``complex`` by how long the input is.

    The input is a text, or a mapping or an object that holds one.

    Args:
      simple: texts shorter than this are simple; characters.
      standard: other texts shorter than this are standard, and all else is
        complex; characters, *simple* or more.
      field: the key or attribute of the input that holds the text.

    Raises:
      ConfigError: lengths that cannot be meant.
    """

    labels: ClassVar[tuple[str, ...]] = (SIMPLE, STANDARD, COMPLEX)

    simple: int = 100
    standard: int = 1000
    field: str = "text"

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.simple <= self.standard:
            raise ConfigError(
                f"simple={self.simple} and standard={self.standard}: "
                "give 0 <= simple <= standard, in characters"
            )

    def decide(self, context: Context[object], /) -> Decision:
        """Return the label, and the length as its reason.

        Raises:
          StepError: the input holds no such text.
        """
        length = len(self._text_of(context.input))
        return Decision(self.label_for(length), {"characters": length})

    def label_for(self, length: int) -> str:
        """Return the label of a text of *length* characters."""
        if length < self.simple:
            return SIMPLE
        return STANDARD if length < self.standard else COMPLEX

    def _text_of(self, given: object) -> str:
        if isinstance(given, str):
            return given
        if isinstance(given, Mapping):
            there = cast("Mapping[str, object]", given)
            text = there.get(self.field)
        else:
            text = getattr(given, self.field, None)
        if not isinstance(text, str):
            # Taking a missing text for a short one would send the hardest inputs
            # down the cheapest route, and nobody would notice.
            raise StepError(
                f"the input has no text {self.field!r} to measure, but "
                f"{_shown(text)} there; give LengthTiers(field=...)",
                cause=Cause.STEP_ERROR,
            )
        return text


def _shown(found: object) -> str:
    return "nothing" if found is None else with_article(type(found).__name__)
