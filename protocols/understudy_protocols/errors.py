"""Every error that Understudy raises, as one tree.

::

    UnderstudyError
    ├── SetupError                the caller's program is wrong; never retried
    │   ├── ChildSpecError        a child spec or a supervisor's flags
    │   ├── NotFrozenError        a value that cannot be made immutable
    │   ├── ConfigError           a policy or setting with an impossible value
    │   │   ├── ConfigFileError   in a file: says the line and the key
    │   │   └── UnknownModelError
    │   ├── InputError            a value from outside that is not what is taken
    │   ├── UnknownNameError      no actor of the system has this name
    │   ├── MissingOutputError    a step asked a state for what it does not hold
    │   └── WorkflowError         a workflow that cannot run
    │       ├── UnknownStepError
    │       ├── MissingInputError
    │       ├── TypeMismatchError
    │       ├── DuplicateNameError
    │       ├── UnreachableBranchError
    │       ├── UnboundedLoopError
    │       ├── UnheededMarkError
    │       ├── UnnamedFunctionError
    │       └── TooLargeError
    ├── DeliveryError             a message did not reach an actor
    │   ├── MailboxFullError
    │   ├── StashFullError        an actor put too many messages aside
    │   ├── ActorStoppedError
    │   ├── AskTimeoutError
    │   ├── AskRefusedError       ask to self, or round in a circle
    │   ├── UnhandledMessageError the actor does not know this kind of message
    │   └── AdmissionError        the runtime takes no further run
    ├── HandlerTimeoutError       an actor's handler was over its time
    ├── StepError                 a step ran and did not succeed
    │   ├── ModelError            the model's side failed
    │   └── BudgetExceededError   the next call could pass the cap
    ├── AdminError                a supervisor refused an admin call
    ├── RunFailed                 a run whose value was asked for did not complete
    ├── RetriesExhausted          ``with_retry`` gave up
    ├── HangError                 a run under the test kit did not end
    ├── CodecError                bytes that are not what they should be
    └── EscalationError           a supervisor gave up on its subtree
        ├── RestartIntensityError
        ├── ChildEscalatedError
        ├── StartFailedError
        └── RuntimeFailed

Facts are attributes, and all of them go to ``Exception.__init__``, so that
pickle and ``repr`` keep them.  ``str`` says what happened and what to do.
The errors that carry a value type of this package live beside that type;
the tree above is complete all the same.
"""

from __future__ import annotations


class UnderstudyError(Exception):
    """Base of every error raised by Understudy on purpose."""


class SetupError(UnderstudyError):
    """The caller's program is wrong: trying again cannot help."""


class ChildSpecError(SetupError):
    """A child spec or a supervisor's flags cannot be used."""


class ConfigError(SetupError):
    """A policy or a setting has a value that cannot be meant."""


class NotFrozenError(SetupError):
    """A value has a part that is not, and cannot be made, immutable.

    Attributes:
      path: where the part is, as in ``outputs.extract.issues[3]``.
      found: the name of the type that stands there.
      advice: what to do instead.
    """

    def __init__(self, path: str, found: str, advice: str) -> None:
        super().__init__(path, found, advice)
        self.path = path
        self.found = found
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.path} is of type {self.found}, which cannot be frozen: {self.advice}"


class UnknownNameError(SetupError):
    """No actor of the system has this name.

    Attributes:
      name: the one asked for.
      known: those that there are.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    def __str__(self) -> str:
        known = ", ".join(self.known) or "none"
        return f"no actor is called {self.name!r}; there are: {known}"


class MissingOutputError(SetupError):
    """A step needs outputs that the state does not hold.

    Attributes:
      step: who asked.
      missing: the names that are not there, in the order asked.
      available: the names that are there, oldest first.
    """

    def __init__(
        self, step: str, missing: tuple[str, ...], available: tuple[str, ...]
    ) -> None:
        super().__init__(step, missing, available)
        self.step = step
        self.missing = missing
        self.available = available

    def __str__(self) -> str:
        there = ", ".join(self.available) or "no output yet"
        return (
            f"{self.step} needs {', '.join(self.missing)}, but the state holds: {there}; "
            "run the step that makes it before, or correct the name"
        )


class WorkflowError(SetupError):
    """A workflow cannot run as it is written.

    Attributes:
      place: the node that is wrong, as a path of names.
      problem: what is wrong there, and what to do.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class UnknownStepError(WorkflowError):
    """A node needs a step that is not in the workflow."""


class MissingInputError(WorkflowError):
    """A node needs an output that does not exist, or may not, when it runs."""


class TypeMismatchError(WorkflowError):
    """What one step gives is not what the next one takes."""


class DuplicateNameError(WorkflowError):
    """Two nodes of one scope have the same name."""


class UnreachableBranchError(WorkflowError):
    """No input can lead to a branch."""


class UnboundedLoopError(WorkflowError):
    """A loop has no largest number of rounds."""


class UnheededMarkError(WorkflowError):
    """Something is marked `SENSITIVE` where the mark would hide nothing."""


class UnnamedFunctionError(WorkflowError):
    """With a journal: a function has no name that it could be known by later."""


class TooLargeError(WorkflowError):
    """A workflow could have more messages under way at once than is allowed."""


class DeliveryError(UnderstudyError):
    """A message did not reach an actor."""


class MailboxFullError(DeliveryError):
    """A bounded mailbox had no room, and its policy is to say so.

    Attributes:
      address: the actor's path.
      capacity: how many messages it holds.
    """

    def __init__(self, address: str, capacity: float) -> None:
        super().__init__(address, capacity)
        self.address = address
        self.capacity = capacity

    def __str__(self) -> str:
        return (
            f"the mailbox of {self.address} is full ({self.capacity:g} messages); send later, or give it "
            "another capacity or overflow policy"
        )


class StashFullError(DeliveryError):
    """An actor put more messages aside than its stash holds.

    Attributes:
      address: the actor's path.
      capacity: how many messages it may put aside.
    """

    def __init__(self, address: str, capacity: float) -> None:
        super().__init__(address, capacity)
        self.address = address
        self.capacity = capacity

    def __str__(self) -> str:
        return (
            f"{self.address} has {self.capacity:g} messages aside already; "
            "give it a larger stash_capacity, or take them back sooner"
        )


class ActorStoppedError(DeliveryError):
    """The actor is not there to take a message, or ended during an ask.

    Attributes:
      address: the actor's path.
      reason: how it ended; the causing exception, if any, is ``__cause__``.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.address} takes no messages: {self.reason}"


class AskTimeoutError(DeliveryError):
    """No reply came in time.

    Attributes:
      address: the actor asked.
      timeout: how long the asker could wait; seconds.
      limit: which of its limits that was.
    """

    def __init__(self, address: str, timeout: float, limit: str = "timeout") -> None:
        super().__init__(address, timeout, limit)
        self.address = address
        self.timeout = timeout
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.address} did not reply within {self.timeout:g} s, "
            f"the {self.limit} of the asker"
        )


class AskRefusedError(DeliveryError):
    """An ask that could never be answered: to oneself, or round in a circle.

    Attributes:
      chain: the actors that wait for one another, the refused one last.
    """

    def __init__(self, chain: tuple[str, ...]) -> None:
        super().__init__(chain)
        self.chain = chain

    def __str__(self) -> str:
        return f"this ask would wait for itself: {' -> '.join(self.chain)}; use tell, or answer from another actor"


class UnhandledMessageError(DeliveryError):
    """The actor does not know what to do with this kind of message.

    Attributes:
      address: the actor's path.
      kind: the name of the message's type.
    """

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(address, kind)
        self.address = address
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.address} does not handle a message of type {self.kind}"


class AdmissionError(DeliveryError):
    """The runtime takes no further run now.

    Attributes:
      reason: which limit was met.
      limit: its value; a count.
    """

    def __init__(self, reason: str, limit: int) -> None:
        super().__init__(reason, limit)
        self.reason = reason
        self.limit = limit

    def __str__(self) -> str:
        return f"the run was not accepted: {self.reason} (limit {self.limit}); try again later or raise the limit"


class HandlerTimeoutError(UnderstudyError, TimeoutError):
    """An actor's handler was cut, because it was over its time.

    Attributes:
      address: the actor's path.
      timeout: what the handler was allowed; seconds.
    """

    def __init__(self, address: str, timeout: float) -> None:
        super().__init__(address, timeout)
        self.address = address
        self.timeout = timeout

    def __str__(self) -> str:
        return (
            f"{self.address} was longer than {self.timeout:g} s over one message; "
            "raise its handler_timeout or find out what it waited for"
        )


class CodecError(UnderstudyError):
    """Bytes that do not decode to what they should be."""


class JournalError(UnderstudyError):
    """The journal cannot be used: it says where it is, what is wrong, what to do."""


class JournalCorruptError(JournalError):
    """The journal holds something that was not written there like this."""


class JournalBusyError(JournalError):
    """Another process executes the runs of this journal."""


class JournalStaleError(JournalError):
    """Another process has taken the journal over; nothing more is written here."""


class JournalWriteError(JournalError):
    """The journal could not be written now; nothing of it was."""


class RunSuspendedError(UnderstudyError):
    """A runtime stopped before a run was over; its journal has it, and it goes on later."""


class RunHeldError(RunSuspendedError):
    """A run does not go on until somebody decides.

    Attributes:
      run_id: which.
      reason: ``unknown_outcome``, ``poisoned`` or ``changed_code``.
      detail: what stands in the way, in a sentence.
    """

    def __init__(self, run_id: str, reason: str, detail: str) -> None:
        super().__init__(run_id, reason, detail)
        self.run_id = run_id
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"run {self.run_id!r} is held ({self.reason}): {self.detail}"


class EscalationError(UnderstudyError):
    """A supervisor gave up on its subtree."""


class RestartIntensityError(EscalationError):
    """A child was restarted more often than its supervisor allows.

    Attributes:
      child: the child's path.
      intensity: restarts allowed inside one period; a count.
      period: length of the window; seconds.
      causes: what the restarts inside the window were for, oldest first; the
        last of them is also ``__cause__``.
    """

    def __init__(
        self,
        child: str,
        intensity: int,
        period: float,
        causes: tuple[BaseException, ...] = (),
    ) -> None:
        super().__init__(child, intensity, period, causes)
        self.child = child
        self.intensity = intensity
        self.period = period
        self.causes = causes

    def __str__(self) -> str:
        return (
            f"{self.child} was restarted more than {self.intensity} times in {self.period:g} s; "
            "raise the intensity or mend the cause below"
        )


class ChildEscalatedError(EscalationError):
    """A child failed in a way that its supervisor was told not to live with.

    Attributes:
      child: the child's path; its error is ``__cause__``.
    """

    def __init__(self, child: str) -> None:
        super().__init__(child)
        self.child = child

    def __str__(self) -> str:
        return f"{self.child} failed for good, and takes its supervisor with it"


class StartFailedError(EscalationError):
    """A child did not become ready; the original error is ``__cause__``.

    Attributes:
      child: the child's path.
      reason: what happened, in a few words.
    """

    def __init__(self, child: str, reason: str) -> None:
        super().__init__(child, reason)
        self.child = child
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.child} did not start: {self.reason}"


class RuntimeFailed(EscalationError):
    """The root supervisor gave up: nothing runs any more.

    Attributes:
      reason: which child gave up, and why.
      causes: the exceptions that used up the restarts, oldest first.
    """

    def __init__(self, reason: str, causes: tuple[BaseException, ...] = ()) -> None:
        super().__init__(reason, causes)
        self.reason = reason
        self.causes = causes

    def __str__(self) -> str:
        return f"the runtime failed: {self.reason}"
