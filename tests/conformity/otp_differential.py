"""Compares our supervisor with that of OTP, over random scenarios.

    uv run python tests/conformity/otp_differential.py --first 0 --count 5000

What is compared is told in ``otp_scenarios``.  Each step must be told alike,
line by line, with these exceptions:

* S32: a transient supervisor that gave up is started again by us, and left
  stopped by OTP.  The step is checked for exactly that; the rest of the
  scenario is not compared.
* S23: of two ends at one instant we see both before a restart takes its first
  step; OTP makes one restart after the other.  Under one_for_one the two
  restarts are compared without regard to their order.  The rest of the scenario
  is not compared where OTP may make a restart that the second end undoes: under
  rest_for_one, if the later child ended first; under one_for_one, if the
  supervisor ended too.

Evened out by the settings: S13 (Erlang's children trap exits), S48 (revive),
S53 (the period is an hour), S62 (no backoff).
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs
from otp_erlang import run_otp
from otp_ours import Race, Told, run_ours
from otp_scenarios import generate, outline, shown

Steps = list[list[str]]


@attrs.frozen
class Comparison:
    """What came of some scenarios.

    Args:
      differences: what was not told alike, ready to be read.
      counts: how often each kind of thing happened in the steps compared.
    """

    differences: list[str]
    counts: Counter[str]


def compare_seeds(seeds: Iterable[int], folder: Path) -> Comparison:
    """Run the scenarios of *seeds* on both sides, and compare.

    Args:
      seeds: of the scenarios.
      folder: where Erlang may write; it must exist.
    """
    told = [run_ours(generate(seed)) for seed in seeds]
    theirs = run_otp((one.scenario for one in told), folder)
    differences: list[str] = []
    counts = Counter[str]()
    for one in told:
        counts["scenarios"] += 1
        counts += _counts(one)
        difference = compare(one, theirs[one.scenario.seed])
        if difference is not None:
            differences.append(difference)
    return Comparison(differences, counts)


def compare(ours: Told, theirs: Steps) -> str | None:
    """Return what is not told alike, and how to repeat it; None if all is."""
    for step in range(_comparable(ours)):
        told = theirs[step] if step < len(theirs) else []
        race = ours.races.get(step)
        if _ordered(ours.steps[step], race) != _ordered(told, race):
            return _difference(ours, step, told)
    if _comparable(ours) == len(ours.steps) and len(theirs) > len(ours.steps):
        return _difference(ours, len(ours.steps), theirs[len(ours.steps)])
    if _ends_with_s032(ours):
        assert ours.s032 is not None, "it ends with that"
        step, line = ours.s032
        if not _is_s032(ours.steps[step], theirs[step], line):
            return _difference(ours, step, theirs[step])
    return None


def _comparable(ours: Told) -> int:
    """Return how many steps OTP must tell alike."""
    ends = [step for step, race in ours.races.items() if race is Race.APART]
    if ours.s032 is not None:
        ends.append(ours.s032[0])
    return min(ends, default=len(ours.steps))


def _ends_with_s032(ours: Told) -> bool:
    step = _comparable(ours)
    return (
        ours.s032 is not None
        and ours.s032[0] == step
        and ours.races.get(step) is not Race.APART
    )


def _ordered(step: list[str], race: Race | None) -> list[str]:
    """Return *step*, with what may come in any order sorted by child."""
    if race is not Race.UNORDERED:
        return step
    moves = [line for line in step if line.startswith(("end ", "init "))]
    rest = [line for line in step if not line.startswith(("end ", "init "))]
    return sorted(moves, key=lambda line: line.split()[1]) + rest


def _is_s032(ours: list[str], theirs: list[str], line: int) -> bool:
    """Whether both sides went their ways after a transient supervisor gave up.

    Up to then, and until its children are stopped, both tell the same.  Then we
    treat it as a child that failed: it is started, or its supervisor gives up.
    OTP lets it be: it is not started, unless the supervisor above is, and
    that was an automatic shutdown.
    """
    path = ours[line].split()[1]
    above, _, name = path.rpartition("/")
    end = line + 1
    while ours[end].startswith(f"stop {path}/"):
        end += 1
    if ours[:end] != theirs[:end]:
        return False
    next_ours = (f"gave_up {above}", f"init {path}")
    restarted = any(told.startswith(next_ours) for told in ours[end:])
    for told in theirs[end:]:
        if told.startswith(f"init {above}") and not told.startswith(f"init {path}"):
            return restarted
        if told.startswith(f"init {path}"):
            return False
        if told.startswith(f"{above} "):
            return restarted and f" {name}-" in told
    return restarted


# What is printed


def _counts(ours: Told) -> Counter[str]:
    steps = _comparable(ours)
    counts = sum(ours.counts[:steps], Counter[str]())
    counts["steps"] = steps
    counts["lines"] = sum(map(len, ours.steps[:steps]))
    if steps == len(ours.steps):
        counts["scenarios compared to the end"] = 1
    elif _ends_with_s032(ours):
        counts["scenarios that end with S32, checked"] = 1
    else:
        counts["scenarios cut short by S23"] = 1
    return counts


def _difference(ours: Told, step: int, theirs: list[str]) -> str:
    seed, commands = ours.scenario.seed, ours.scenario.commands
    names = ["start", *map(shown, commands), "stop"]
    told = ours.steps[step] if step < len(ours.steps) else []
    before = [
        f"> {name}\n" + "\n".join(f"    {line}" for line in lines)
        for name, lines in zip(names, ours.steps[:step], strict=False)
    ]
    again = f"tests/conformity/otp_differential.py --first {seed} --count 1"
    return "\n".join(
        [
            f"seed {seed}, step {step}; to repeat it: uv run python {again}",
            outline("root", ours.scenario.root),
            *before,
            f"> {names[step]}  (- ours, + OTP)",
            *(f"  {line}" for line in difflib.ndiff(told, theirs)),
        ]
    )


def main() -> int:
    """Compare as many scenarios as asked for; return 1 if any differs."""
    parser = argparse.ArgumentParser(description="Compare with OTP's supervisor.")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=5000, help="how many scenarios")
    args = parser.parse_args()
    first: int = args.first
    count: int = args.count
    with tempfile.TemporaryDirectory() as folder:
        found = compare_seeds(range(first, first + count), Path(folder))
    for difference in found.differences[:10]:
        sys.stdout.write(f"{difference}\n\n")
    for what, number in sorted(found.counts.items()):
        sys.stdout.write(f"{number:9,}  {what}\n")
    sys.stdout.write(f"{len(found.differences):9,}  differences\n")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
