"""Stand-ins for models, so that the command line's tests need no weights and no build."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sillar.engine.request import SequenceStep, StepResult


class FakeStepper:
    """Draws token 1 for every output row, and keeps the batches that it saw."""

    vocab_size = 32
    context_length = 4096
    kv_blocks = 256
    threads = 1

    def __init__(self) -> None:
        self.steps: list[SequenceStep] = []

    def step(self, batch: Sequence[SequenceStep]) -> StepResult:
        self.steps.extend(batch)
        rows = sum(share.outputs for share in batch)
        return StepResult(np.ones(rows, np.int32), np.zeros(rows, np.float32), [], [])
