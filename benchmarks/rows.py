"""All rows, in the order of the table."""

from __future__ import annotations

from typing import Final

from benchmarks.actor_crowds import DYNAMIC, LISTED, STATIC, VERY_MANY_ROW
from benchmarks.actor_endurance import ENDURANCE
from benchmarks.actor_footprint import FOOTPRINT
from benchmarks.actor_messages import ASK_ROW, BURST_ROW, HOP_ROW
from benchmarks.chain import CHAIN, CHAIN_50
from benchmarks.durable import DURABLE_ROWS
from benchmarks.failures import RESTART_ROW, RETRY_ROW
from benchmarks.fan_out import FAN_OUT
from benchmarks.footprint import MEMORY
from benchmarks.growth import GROWTH
from benchmarks.imports import IMPORT
from benchmarks.leftovers import LEFTOVERS
from benchmarks.mailboxes import MAILBOX
from benchmarks.many_runs import RUNS_1000, RUNS_10000
from benchmarks.model_footprint import MODEL_MEMORY
from benchmarks.models import REQUEST_ROWS, STREAM_ROW

ROWS: Final = {
    row.name: row
    for row in (
        CHAIN,
        CHAIN_50,
        FAN_OUT,
        RUNS_1000,
        RUNS_10000,
        MEMORY,
        RETRY_ROW,
        RESTART_ROW,
        IMPORT,
        LEFTOVERS,
        GROWTH,
        MAILBOX,
        HOP_ROW,
        BURST_ROW,
        ASK_ROW,
        STATIC,
        DYNAMIC,
        LISTED,
        VERY_MANY_ROW,
        FOOTPRINT,
        ENDURANCE,
        *REQUEST_ROWS,
        STREAM_ROW,
        MODEL_MEMORY,
        *DURABLE_ROWS,
    )
}
