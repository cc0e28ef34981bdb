"""A model that replays real answers from a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import attrs
import msgspec
import trio

from understudy.models.replies import stream_whole, text_reply, user_text
from understudy_protocols.chat import ModelReply, ModelRequest, Price, StreamEvent
from understudy_protocols.errors import ConfigError
from understudy_protocols.failures import Cause, ModelError

_FREE = Price()
_SHOWN = 60


@attrs.frozen
class Recording:
    """One answer that a model once gave.

    Args:
      prompt: what it was asked.
      text: what it answered.
      input_tokens: what the provider counted; estimated if None.
      output_tokens: what the provider counted; estimated if None.
    """

    prompt: str
    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None


class RecordedModel:
    """Replays recorded answers, found by their prompt.

    Several answers to one prompt are given in their order; after the last it is
    given again.

    Args:
      recordings: the answers.
      name: what results and errors call it.
      price: what it costs; free by default.
      latency: how long an answer takes; seconds.
      key: the prompt of a request; by default the text of the user's last message.
    """

    def __init__(
        self,
        recordings: Iterable[Recording],
        *,
        name: str = "recorded",
        price: Price = _FREE,
        latency: float = 0.0,
        key: Callable[[ModelRequest], str] = user_text,
    ) -> None:
        self._name = name
        self._price = price
        self._latency = latency
        self._key = key
        self._answers: dict[str, list[Recording]] = {}
        for recording in recordings:
            self._answers.setdefault(recording.prompt, []).append(recording)
        self._turns = dict.fromkeys(self._answers, 0)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        prompt: str = "prompt",
        answer: str = "answer",
        name: str = "recorded",
        price: Price = _FREE,
        latency: float = 0.0,
        key: Callable[[ModelRequest], str] = user_text,
    ) -> RecordedModel:
        """Read the recordings from a JSONL file: one object per line.

        Args:
          prompt: the field that holds the prompt.
          answer: the field that holds the answer, or a list of answers.  The
            fields ``input_tokens`` and ``output_tokens`` are used if they exist.

        Raises:
          ConfigError: the file cannot be read, or a line is not such an object;
            it names the file and the line.
        """
        recordings = _read(Path(path), prompt, answer)
        return cls(recordings, name=name, price=price, latency=latency, key=key)

    @property
    def name(self) -> str:
        """What results and errors call it."""
        return self._name

    @property
    def price(self) -> Price:
        """What it costs."""
        return self._price

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Give the recorded answer.

        Cancellation: the answer counts as given.
        Raises:
          ModelError: there is none for this prompt; never worth a retry.
        """
        recording = self._recording_for(self._key(request))
        await trio.sleep(self._latency)
        return text_reply(
            request,
            recording.text,
            self._name,
            self._price,
            recording.input_tokens,
            recording.output_tokens,
        )

    def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        """Give the recorded answer word by word; as `complete`."""
        return stream_whole(self, request)

    def _recording_for(self, prompt: str) -> Recording:
        answers = self._answers.get(prompt)
        if answers is None:
            shown = prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}..."
            raise ModelError(
                f"{self._name!r} has no recorded answer for the prompt {shown!r} "
                f"({len(prompt)} characters); it knows {len(self._answers)} prompts",
                cause=Cause.BAD_REQUEST,
                model=self._name,
            )
        turn = self._turns[prompt]
        self._turns[prompt] = turn + 1
        return answers[min(turn, len(answers) - 1)]


def _read(path: Path, prompt: str, answer: str) -> list[Recording]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"the recordings cannot be read: {error}") from error
    return [
        recording
        for number, line in enumerate(lines, start=1)
        if line.strip()
        for recording in _parsed(line, prompt, answer, f"{path}, line {number}")
    ]


def _parsed(line: bytes, prompt: str, answer: str, place: str) -> Sequence[Recording]:
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
        asked = msgspec.convert(fields.get(prompt), str)
        told = msgspec.convert(fields.get(answer), str | list[str])
        read, written = (
            msgspec.convert(fields.get(field), int | None)
            for field in ("input_tokens", "output_tokens")
        )
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"{place}: give an object with a text {prompt!r} and {answer!r}, a text "
            f"or a list of texts ({error})"
        ) from error
    texts = [told] if isinstance(told, str) else told
    return [Recording(asked, text, read, written) for text in texts]
