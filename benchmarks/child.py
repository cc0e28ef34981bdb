"""One row in one process: ``python -m benchmarks.child ROW SCALE TURN``.

Prints what it measured as JSON, for the driver to read.
"""

from __future__ import annotations

import json
import sys

from benchmarks.measure import Sizes
from benchmarks.rows import ROWS


def main(row: str, scale: str, turn: str) -> None:
    """Measure *row* and print its samples, as pairs of wall and cpu."""
    figures = ROWS[row].measure(Sizes(float(scale), int(turn)))
    print(
        json.dumps(
            {
                label: [[sample.wall, sample.cpu] for sample in samples]
                for label, samples in figures.items()
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
