"""llama.cpp as a benchmark subject: a worker that runs in an environment with llama-cpp-python and numpy.

Uses the low-level API, with what is best for it: flash attention, physical batches of 512, weights
repacked for the processor (its default), a KV cache of its own for each of several equal streams.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import llama_cpp
import numpy as np

from benchmarks import workloads
from benchmarks.worker import serve

_KV_TYPES = {"f32": 0, "f16": 1, "q8_0": 8}


@llama_cpp.llama_log_callback
def _silent(_level: int, _text: bytes, _user_data: ctypes.c_void_p) -> None:
    """llama.cpp's log goes nowhere."""


class LlamaCpp(workloads.Subject):
    """One model and one context of llama.cpp behind the workloads' `step`."""

    max_step_tokens = 2048
    mixed_chunk = 512  # one physical batch: its server would take more and stall the streams longer

    def __init__(self) -> None:
        llama_cpp.llama_log_set(_silent, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._settings: dict[str, Any] = {}

    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        """Settings: kv_type ("f16"), flash (True). The room is made by `reserve`."""
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        self._settings = {"threads": threads, "kv_type": "f16", "flash": True} | settings
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.vocab_size = llama_cpp.llama_vocab_n_tokens(self._vocab)
        system = llama_cpp.llama_print_system_info().decode()
        return {"engine": "llama.cpp", "version": llama_cpp.__version__, "system": system}

    def reserve(self, sizes: Sequence[int]) -> None:
        self._free_context()
        params = llama_cpp.llama_context_default_params()
        rooms = [-(-tokens // 256) * 256 for tokens in sizes]
        params.n_ctx = sum(rooms)
        params.n_seq_max = len(sizes)
        params.n_batch = self.max_step_tokens
        params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = self._settings["threads"]
        params.flash_attn_type = int(self._settings["flash"])
        params.type_k = params.type_v = _KV_TYPES[self._settings["kv_type"]]
        params.offload_kqv = False
        params.kv_unified = len(sizes) == 1 or min(rooms) < max(rooms)  # else split evenly: faster
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise RuntimeError(f"no context for streams of {sizes} tokens")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(self.max_step_tokens, 0, 1)

    def step(self, parts: Sequence[workloads.Part]) -> list[int]:
        rows = self._fill(parts, all_logits=False)
        self._decode()
        return [int(self._logits(row).argmax()) for row in rows]

    def step_logits(self, part: workloads.Part) -> np.ndarray:
        """Logits of every token of one part: float32 [tokens, vocab]."""
        rows = self._fill([part], all_logits=True)
        self._decode()
        return np.stack([self._logits(row) for row in rows])

    def truncate(self, stream: int, tokens: int) -> None:
        llama_cpp.llama_memory_seq_rm(self._memory, stream, tokens, -1)

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Token ids of a text; `special`: control tokens written in it count as such."""
        data = text.encode()
        tokens = (llama_cpp.llama_token * (len(data) + 8))()
        n = llama_cpp.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), False, special)
        return list(tokens[:n])

    def unload(self) -> None:
        self._free_context()
        if self._model:
            llama_cpp.llama_model_free(self._model)
        self._model = None

    def _free_context(self) -> None:
        if self._context:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._context)
        self._context = None

    def _fill(self, parts: Sequence[workloads.Part], *, all_logits: bool) -> list[int]:
        batch, n, rows = self._batch, 0, []
        for part in parts:
            last = n + len(part.tokens) - 1
            for offset, token in enumerate(part.tokens):
                output = all_logits or n == last
                batch.token[n], batch.pos[n] = token, part.past + offset
                batch.n_seq_id[n], batch.seq_id[n][0], batch.logits[n] = 1, part.stream, output
                if output:
                    rows.append(n)
                n += 1
        batch.n_tokens = n
        return rows

    def _decode(self) -> None:
        status = llama_cpp.llama_decode(self._context, self._batch)
        if status:
            raise RuntimeError(f"llama_decode: {status}")
        llama_cpp.llama_synchronize(self._context)

    def _logits(self, row: int) -> np.ndarray:
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        return np.ctypeslib.as_array(pointer, shape=(self.vocab_size,))


if __name__ == "__main__":
    subject = LlamaCpp()
    serve(workloads.handlers(subject) | {"tokenize": subject.tokenize})
