"""OpenVINO GenAI as a benchmark subject: a worker that runs in an environment with openvino-genai and numpy.

It reads the same GGUF into its own graph, of the same 4- or 8-bit weights. At its best here: attention of one
sequence at a time (`SDPA`; its paged attention is slower), its default of an 8-bit KV cache.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
import openvino_genai

from benchmarks import workloads
from benchmarks.worker import serve

TOKENIZER_VARIABLE = "SILLAR_OPENVINO_TOKENIZER"
"""A GGUF whose tokenizer OpenVINO knows: no text is read, but without one it does not load a model."""


class OpenVino(workloads.Generator):
    """One model as a pipeline that continues token ids."""

    vocab_size = 10_000  # of the ids drawn for prompts; every model benchmarked has more

    def __init__(self) -> None:
        self._pipeline: Any = None

    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        del room
        options = {"ATTENTION_BACKEND": "SDPA", "INFERENCE_NUM_THREADS": threads} | settings
        tokenizer = openvino_genai.Tokenizer(os.environ[TOKENIZER_VARIABLE])
        self._pipeline = openvino_genai.LLMPipeline(path, tokenizer, "CPU", **options)
        return {"engine": "OpenVINO GenAI", "version": openvino_genai.__version__}

    def generate(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[float]:
        config = openvino_genai.GenerationConfig(max_new_tokens=tokens, ignore_eos=True, do_sample=False)
        ids = np.array(prompts, dtype=np.int64)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
        begin = time.perf_counter()
        result = self._pipeline.generate(inputs, config)
        if tokens == 1:
            return [time.perf_counter() - begin]
        # Of each step, in microseconds; without the sampling, which its pipeline does not time by the step.
        durations = result.perf_metrics.raw_metrics.token_infer_durations
        return (np.cumsum(list(durations)) / 1e6).tolist()


if __name__ == "__main__":
    serve(workloads.handlers(OpenVino()))
