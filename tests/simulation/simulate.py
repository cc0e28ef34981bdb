"""Run any number of seeds by hand, or one of them and see what happened.

::

    python tests/simulation/simulate.py --seed 17
    python tests/simulation/simulate.py --seeds 0 100000
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from book import ViolationError
from world import Ending, Outcome, simulate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return how many seeds failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="run one, and show its log")
    parser.add_argument("--schedule", type=int, help="who goes first, for --seed")
    parser.add_argument(
        "--seeds", type=int, nargs=2, metavar=("FROM", "TO"), default=(0, 2000)
    )
    parser.add_argument("--digests", action="store_true", help="one for each seed")
    parser.add_argument("--ending", choices=[one.name for one in Ending])
    given = parser.parse_args(arguments)
    if given.seed is not None:
        ending = None if given.ending is None else Ending[given.ending]
        return _show(given.seed, given.schedule, ending)
    return _run(range(*given.seeds), digests=given.digests)


def _show(seed: int, schedule: int | None, ending: Ending | None) -> int:
    log: list[tuple[object, ...]] = []
    try:
        simulate(seed, schedule, ending=ending, log=log)
    except ViolationError as error:
        failed = f"{error}\n"
    else:
        failed = ""
    for entry in log:
        sys.stdout.write(" ".join(map(str, entry)) + "\n")
    sys.stdout.write(failed or "nothing was wrong\n")
    return bool(failed)


def _run(seeds: Sequence[int], *, digests: bool) -> int:
    figures = Counter[str]()
    failed = 0
    for seed in seeds:
        try:
            outcome: Outcome = simulate(seed)
        except ViolationError as error:
            failed += 1
            sys.stdout.write(f"{error}\n")
            continue
        figures.update(outcome.figures)
        if digests:
            sys.stdout.write(f"{seed} {outcome.digest}\n")
    if not digests:
        sys.stdout.write(f"seeds: {len(seeds)}, failed: {failed}\n")
        for kind, count in sorted(figures.items()):
            sys.stdout.write(f"{count:>9,}  {kind}\n")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(), 1))
