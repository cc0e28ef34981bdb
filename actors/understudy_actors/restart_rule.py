"""What the end of a child calls for, by its restart type."""

from __future__ import annotations

from understudy_protocols.errors import StartFailedError
from understudy_protocols.supervision import Exit, ExitKind, Restart


def must_restart(restart: Restart, kind: ExitKind) -> bool:
    """Whether a child of this restart type that ended so is started again."""
    if restart is Restart.PERMANENT:
        return True
    return restart is Restart.TRANSIENT and kind.abnormal


def start_error(path: str, end: Exit) -> StartFailedError:
    """Return the error that says why the child at *path* did not become ready."""
    cause = end.cause
    if isinstance(cause, StartFailedError):
        return cause  # of a child below: it names the one that matters
    reason = "its start was over its time"
    if end.kind is not ExitKind.TIMEOUT:
        reason = end.kind.value if cause is None else f"{type(cause).__name__}: {cause}"
    error = StartFailedError(path, reason)
    error.__cause__ = cause
    return error
