"""An observer that writes supervision events to a logger of the standard library."""

from __future__ import annotations

import logging
from collections.abc import Callable

from understudy_protocols.supervision_records import SupervisionEvent

_LOGGER = logging.getLogger("understudy.supervision")


def log_events(
    logger: logging.Logger = _LOGGER,
) -> Callable[[SupervisionEvent], None]:
    """Return an observer for `ActorSystem(on_event=)` that logs each event.

    The level is `SupervisionEvent.level`; the event itself is the record's
    ``event`` attribute, and an exception behind it is its ``exc_info``.
    """

    def log(event: SupervisionEvent) -> None:
        logger.log(
            event.level,
            "%s, life %d: %s",
            event.path,
            event.incarnation,
            _sentence(event),
            exc_info=event.cause,
            extra={"event": event},
        )

    return log


def _sentence(event: SupervisionEvent) -> str:
    """Return what happened, and what follows."""
    parts = [event.state.value]
    if event.kind is not None:
        parts.append(f"by {event.kind.value}")
    if event.failures:
        parts.append(f"failure {event.failures} in a row")
    if event.decision is not None:
        parts.append(f"decision: {event.decision.value}")
    if event.due is not None:
        parts.append(f"next life at {event.due:.3f}")
    if event.detail:
        parts.append(f"it stands at\n{event.detail}")
    return ", ".join(parts)
