"""Row: how long an import takes, each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.claims import Claim, Row, Unit
from benchmarks.measure import Figures, Sample, Sizes

TRIO = "bare: import trio"
OURS = "ours: import understudy"

_PROGRAM = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def _import(module: str, cache: str) -> Sample:
    # Whoever has told Python to keep no bytecode would time the compiler.
    environment = os.environ | {"PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", _PROGRAM.format(module=module)]
    printed = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    wall, cpu = map(float, printed.stdout.split())
    return Sample(wall, cpu)


def _measure(sizes: Sizes) -> Figures:
    figures: Figures = {TRIO: [], OURS: []}
    modules = {TRIO: "trio", OURS: "understudy"}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(-1, sizes.count(7)):
            for label, module in modules.items():
                sample = _import(module, cache)
                # The first of each had to compile what it reads.
                if number >= 0:
                    figures[label].append(sample)
    return figures


IMPORT = Row(
    "import",
    "import in a fresh process",
    Unit.MILLISECONDS,
    (
        Claim(
            "understudy beside trio (40 ms more where trio takes 105 ms)",
            OURS,
            TRIO,
            (105 + 40) / 105,
        ),
    ),
    _measure,
)
