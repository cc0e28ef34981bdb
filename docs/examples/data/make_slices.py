"""Cuts the slices in this folder out of the whole data sets.

``python docs/examples/data/make_slices.py SOURCE_DIR``, where SOURCE_DIR holds
``peps_dev.jsonl`` and ``gsm8k_outcomes_dev.jsonl``.  The examples read only what
it wrote; it stays here so that everyone can see what was cut, and how.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import msgspec

from understudy.demo.labels import Dataset
from understudy.demo.messages import encode_messages, shipped_messages

HERE = Path(__file__).parent
KEPT = {
    525: ("Abstract", "Rationale and Goals", "Specification", "Copyright"),
    567: ("Abstract", "Rationale", "Introduction", "Specification", "Copyright"),
    654: ("Abstract", "Motivation", "Rationale", "Rejected Ideas", "Copyright"),
}
"""The PEPs, and the top-level sections of each that are kept whole."""

RECORDINGS = 30
MESSAGES = 30

_HEADING = re.compile(r"^(?=[^\n=]+\n={3,}$)", re.MULTILINE)


class Pep(msgspec.Struct, frozen=True):
    """A Python Enhancement Proposal."""

    pep: int
    title: str
    text: str


class Recording(msgspec.Struct, frozen=True):
    """What a model really answered to a question with a known answer."""

    prompt: str
    gold: str
    weak_correct: int
    weak_response: str


def shortened(pep: Pep) -> Pep:
    """Return *pep* with its header and the kept sections."""
    header, *sections = _HEADING.split(pep.text)
    kept = [each for each in sections if each.split("\n", 1)[0] in KEPT[pep.pep]]
    assert len(kept) == len(KEPT[pep.pep]), f"PEP {pep.pep} has other sections"
    return Pep(pep.pep, pep.title, "".join((header, *kept)).strip() + "\n")


def rank(prompt: str) -> str:
    """Return the digest by which recordings are chosen."""
    return hashlib.sha256(prompt.encode()).hexdigest()


def main(source: Path) -> None:
    """Write the three slices."""
    encoder = msgspec.json.Encoder()
    peps = msgspec.json.Decoder(Pep).decode_lines(
        (source / "peps_dev.jsonl").read_bytes()
    )
    (HERE / "peps.jsonl").write_bytes(
        encoder.encode_lines(shortened(each) for each in peps if each.pep in KEPT)
    )
    recordings = msgspec.json.Decoder(Recording).decode_lines(
        (source / "gsm8k_outcomes_dev.jsonl").read_bytes()
    )
    chosen = sorted(recordings, key=lambda each: rank(each.prompt))[:RECORDINGS]
    (HERE / "gsm8k.jsonl").write_bytes(encoder.encode_lines(chosen))
    messages = [
        each for each in shipped_messages() if each.source is not Dataset.BANKING77
    ]
    (HERE / "nlupp.jsonl").write_bytes(encode_messages(messages[:MESSAGES]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
