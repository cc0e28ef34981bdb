"""Row: the mailbox beside the memory channel that it could have been made of."""

from __future__ import annotations

import trio

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Contender, Figures, Sizes, alternate, timed
from understudy_actors.mailbox import Mailbox

IN_LINE = 50

CHANNEL = "bare: send_nowait and receive_nowait"
OURS = "ours: put_nowait and take_nowait"


async def _measure(sizes: Sizes) -> Figures:
    bursts = sizes.count(200)
    send, receive = trio.open_memory_channel[int](IN_LINE)
    mailbox = Mailbox[int]("mailbox", IN_LINE)

    async def channel() -> None:
        for _ in range(bursts):
            for number in range(IN_LINE):
                send.send_nowait(number)
            for _ in range(IN_LINE):
                receive.receive_nowait()

    async def ours() -> None:
        for _ in range(bursts):
            for number in range(IN_LINE):
                mailbox.put_nowait(number)
            for _ in range(IN_LINE):
                mailbox.take_nowait()

    contenders: dict[str, Contender] = {
        CHANNEL: lambda: timed(channel, bursts * IN_LINE),
        OURS: lambda: timed(ours, bursts * IN_LINE),
    }
    return await alternate(contenders, sizes.count(21), sizes)


MAILBOX = Row(
    "mailbox",
    "a message put into a line of 50 and taken out of it, nobody waiting",
    Unit.MICROSECONDS,
    (Claim("the mailbox beside the channel", OURS, CHANNEL),),
    lambda sizes: trio.run(_measure, sizes),
)
