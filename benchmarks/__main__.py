"""The driver: every row in fresh processes, in turn, and then the table.

python -m benchmarks [--quick] [--json FILE] [ROW ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.claims import Claim, Row
from benchmarks.environment import describe
from benchmarks.measure import Figures, Sample
from benchmarks.report import Outcome, claim_table, figure_table, judge
from benchmarks.rows import ROWS

REPEATS = 5
QUICK_SCALE = 0.1

ROOT = Path(__file__).parent.parent


def measure(row: str, scale: float, turn: int) -> Figures:
    """Measure *row* once, in a process of its own.

    Raises:
      subprocess.CalledProcessError: that process failed; it has said why.
    """
    command = [sys.executable, "-m", "benchmarks.child", row, str(scale), str(turn)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
    samples: Mapping[str, Sequence[tuple[float, float]]] = json.loads(printed.stdout)
    return {
        label: [Sample(*pair) for pair in pairs] for label, pairs in samples.items()
    }


def as_json(
    environment: Mapping[str, str],
    settings: Mapping[str, object],
    measured: Mapping[str, Sequence[Figures]],
    judged: Mapping[str, Sequence[Outcome]],
) -> dict[str, object]:
    """Return everything that was measured and found, for a machine to read."""
    return {
        "environment": dict(environment),
        "settings": dict(settings),
        "rows": {
            name: {
                "title": ROWS[name].title,
                "unit": ROWS[name].unit.value[0],
                "claims": [
                    _claim_as_json(claim, outcome)
                    for claim, outcome in zip(
                        ROWS[name].claims, judged[name], strict=True
                    )
                ],
                "processes": [
                    {
                        label: [attrs.asdict(sample) for sample in samples]
                        for label, samples in figures.items()
                    }
                    for figures in processes
                ],
            }
            for name, processes in measured.items()
        },
    }


def _claim_as_json(claim: Claim, outcome: Outcome) -> Mapping[str, object]:
    return attrs.asdict(claim) | attrs.asdict(outcome) | {"verdict": outcome.verdict}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write the JSON file if asked to."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names: list[str] = given.rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    scale = given.scale or (QUICK_SCALE if given.quick else 1.0)
    repeats = given.repeats or (1 if given.quick else REPEATS)
    environment = describe()
    measured: dict[str, list[Figures]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names:
            print(f"{turn + 1}/{repeats} {name}", file=sys.stderr, flush=True)
            try:
                measured[name].append(measure(name, scale, turn))
            except subprocess.CalledProcessError as error:
                parser.exit(1, f"row {name} failed: {error}; its own words are above\n")
    judged = {
        name: [judge(claim, measured[name]) for claim in ROWS[name].claims]
        for name in names
    }
    print(_text(environment, scale, repeats, measured, judged))
    if given.json:
        settings = {"scale": scale, "repeats": repeats}
        found = as_json(environment, settings, measured, judged)
        given.json.write_text(json.dumps(found, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tenth of the work, once: to see that it runs, not to publish",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples")
    parser.add_argument(
        "--scale", type=float, help="how much work, 1 for the published figures"
    )
    parser.add_argument(
        "--repeats", type=int, help=f"processes for each row, default {REPEATS}"
    )
    return parser


def _text(
    environment: Mapping[str, str],
    scale: float,
    repeats: int,
    measured: Mapping[str, Sequence[Figures]],
    judged: Mapping[str, Sequence[Outcome]],
) -> str:
    rows: list[Row] = [ROWS[name] for name in measured]
    parts = [
        "\n".join(f"{fact}: {words}" for fact, words in environment.items()),
        f"{repeats} processes for each row, in turn; scale {scale:g}",
        claim_table((row, judged[row.name]) for row in rows),
        figure_table((row, measured[row.name]) for row in rows),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
