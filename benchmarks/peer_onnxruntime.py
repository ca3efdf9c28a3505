"""ONNX Runtime as an embedder: a worker that runs in an environment with onnxruntime, tokenizers and numpy.

Best settings for this machine: all graph optimisations, the given threads, texts of similar length together,
and as many at a time as a trial finds fastest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import BertWordPieceTokenizer

from benchmarks.worker import serve

MOST_TOKENS = 512
TRIED = (1, 4, 8, 16, 32)


class OnnxEmbedder:
    """A BERT in ONNX form: the first token's last state, of unit length (as bge is meant)."""

    def load(self, model: str, vocabulary: str, threads: int) -> dict[str, Any]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self._batch = TRIED[0]
        return {"engine": f"onnxruntime {onnxruntime.__version__}", "threads": threads}

    def tune(self, texts: Sequence[str]) -> dict[str, float]:
        """Chooses how many texts a call takes: seconds of each number tried."""
        seconds = {}
        for self._batch in TRIED:
            self._encode(texts[: self._batch], self._batch)
            begin = time.perf_counter()
            self._encode(texts, self._batch)
            seconds[self._batch] = time.perf_counter() - begin
        self._batch = min(seconds, key=lambda batch: seconds[batch])
        return {str(batch): value for batch, value in seconds.items()}

    def embed(self, texts: Sequence[str], path: str, batch: int = 0) -> float:
        """Writes float32 [texts, dim] to `path` (.npy); the seconds without the writing. `batch`: texts a
        call, 0 for as many as the trial chose.
        """
        begin = time.perf_counter()
        vectors = self._encode(texts, batch or self._batch)
        seconds = time.perf_counter() - begin
        np.save(path, vectors)
        return seconds

    def _encode(self, texts: Sequence[str], batch: int) -> np.ndarray:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(texts)), key=lambda i: -len(tokens[i]))
        vectors: list[np.ndarray] = [np.empty(0)] * len(texts)
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            for index, state in zip(chosen, self._first_states([tokens[i] for i in chosen]), strict=True):
                vectors[index] = state / np.linalg.norm(state)
        return np.stack(vectors)

    def _first_states(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """float32 [texts, dim]."""
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, {name: known[name] for name in self._inputs})[0]
        first: np.ndarray = np.asarray(states)[:, 0]
        return first


if __name__ == "__main__":
    subject = OnnxEmbedder()
    serve({"load": subject.load, "tune": subject.tune, "embed": subject.embed})
