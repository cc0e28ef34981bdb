"""Scripts of faults, for Hypothesis."""

from __future__ import annotations

import attrs
from fault_script import (
    OPEN,
    After,
    Answer,
    Content,
    Door,
    Encoding,
    End,
    Framing,
    Kind,
    Script,
    Terminal,
    Turn,
    reply_body,
)
from hypothesis import strategies as st

SMUGGLED = "an answer that nobody asked for"


@attrs.frozen
class Times:
    """How long things may take in a script; seconds.

    Args:
      timeout: of a request; none of the others adds up to it.
      delays: before an answer.
      gaps: between pieces of it.
      doors: before a connection is there.
      pauses: between requests.
      ends: what the server does when it has cut an answer short.
    """

    timeout: float
    delays: tuple[float, ...]
    gaps: tuple[float, ...]
    doors: tuple[float, ...]
    pauses: tuple[float, ...]
    ends: tuple[End, ...]


VIRTUAL = Times(
    timeout=10.05,
    delays=(0.0, 0.0, 0.0, 0.3, 3.0, 12.0),
    gaps=(0.0, 0.5, 1.0),
    doors=(0.4, 4.0, 7.0),
    pauses=(0.0, 0.0, 2.0),
    ends=tuple(End),
)
REAL = Times(
    timeout=6.0,
    delays=(0.0, 0.0, 0.02),
    gaps=(0.0, 0.005),
    doors=(0.01,),
    pauses=(0.0, 0.02),
    # A server that says nothing more takes the whole timeout.
    ends=(End.CLOSE, End.RESET) * 4 + (End.STALL,),
)

_MALICE = (
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x0a\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 abc Whatever\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    b"{}\r\n\r\n",
)
_SMUGGLED = reply_body(SMUGGLED)
_EXTRA = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    % len(_SMUGGLED)
) + _SMUGGLED

_contents = st.builds(
    Content,
    kind=st.sampled_from([Kind.REPLY, Kind.EVENTS] * 3 + list(Kind)),
    texts=st.sampled_from([("hello",), ("a", "b", "c"), ("ü\n" * 20, "\u2028"), ()]),
    terminal=st.sampled_from([Terminal.DONE] * 4 + list(Terminal)),
    padding=st.sampled_from([0] * 15 + [200_000]),
)
_statuses = st.sampled_from(
    [200] * 8 + [201, 302, 400, 401, 402, 404, 408, 409, 413, 429, 500, 503, 529]
)
_headers = st.sampled_from(
    [
        (),
        (),
        (),
        (("retry-after", "7"),),
        (("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "9")),
        (("set-cookie", "tracked=yes; path=/"),),
    ]
)


@st.composite
def answers(draw: st.DrawFn, times: Times = VIRTUAL) -> Answer:
    """Draw what the server does with one request: as a rule it has one fault."""
    content = draw(_contents)
    answer = Answer(
        status=draw(_statuses),
        headers=draw(_headers),
        content=content,
        framing=draw(st.sampled_from(Framing)),
        chunk=60_000 if content.padding else draw(st.sampled_from([0, 7, 1000])),
        delay=draw(st.sampled_from(times.delays)),
        after=draw(st.sampled_from(After)),
    )
    match draw(st.integers(0, 9)):
        case 0:
            return attrs.evolve(answer, garbage=draw(st.sampled_from(_MALICE)))
        case 1 | 2 | 3:
            whole = sum(len(data) for data, _ in answer.layout)
            return attrs.evolve(
                answer,
                cut=draw(st.one_of(st.just(0), st.integers(0, whole))),
                end=draw(st.sampled_from(times.ends)),
            )
        case 4 if times is VIRTUAL or draw(st.integers(0, 4)) == 0:
            return attrs.evolve(
                answer,
                framing=Framing.LENGTH,
                declared=draw(st.integers(1, 1000)),
            )
        case 5:
            length = answer.framing is Framing.LENGTH
            gap = draw(st.sampled_from([0.0, 1.0])) if times is VIRTUAL else 0.0
            return attrs.evolve(
                answer, endless=True, declared=10**9 if length else 0, gap=gap
            )
        case 6 if not answer.content.padding:
            return attrs.evolve(
                answer,
                piece=draw(st.sampled_from([40, 400])),
                gap=draw(st.sampled_from(times.gaps)),
            )
        case 7 if answer.framing is not Framing.CLOSE and not content.padding:
            return attrs.evolve(answer, extra=_EXTRA)
        case 8 if content.kind in (Kind.REPLY, Kind.EVENTS):
            return attrs.evolve(answer, encoding=draw(st.sampled_from(Encoding)))
        case 9:
            types = ["", "text/html", "text/event-stream", "application/json"]
            return attrs.evolve(answer, media_type=draw(st.sampled_from(types)))
        case _:
            return answer


@st.composite
def turns(draw: st.DrawFn, times: Times = VIRTUAL) -> Turn:
    """Draw one request, and what the server does with it."""
    doors = [OPEN] * 6 + [Door(refuses=True), *(Door(delay=d) for d in times.doors)]
    return Turn(
        answer=draw(answers(times)),
        streamed=draw(st.booleans()),
        door=draw(st.sampled_from(doors)),
        pause=draw(st.sampled_from(times.pauses)),
    )


def scripts(times: Times = VIRTUAL) -> st.SearchStrategy[Script]:
    """Draw a script of one to four requests."""
    return st.lists(turns(times), min_size=1, max_size=4).map(tuple)
