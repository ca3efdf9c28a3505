"""Types of the extension, as engine/native.py uses it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class Error(RuntimeError):
    kind: str

class ModelFile:
    @staticmethod
    def open(path: str) -> ModelFile: ...
    @property
    def architecture(self) -> str: ...
    @property
    def is_encoder(self) -> bool: ...
    @property
    def context_length(self) -> int: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
    def kv_block_bytes(self, kv_type: str) -> int: ...

class Decoder:
    @staticmethod
    def load(
        file: ModelFile,
        threads: int,
        isa: str,
        kv_type: str,
        kv_blocks: int,
        context: int,
        packed_path: str,
        packed_key: bytes,
        progress: Callable[[int, int], object] | None,
    ) -> Decoder: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def context_length(self) -> int: ...
    @property
    def kv_blocks(self) -> int: ...
    @property
    def threads(self) -> int: ...
    def step(
        self, batch: Sequence[object], want_logits: bool
    ) -> tuple[
        NDArray[np.int32],
        NDArray[np.float32],
        list[NDArray[np.int32]],
        list[NDArray[np.float32]],
        NDArray[np.float32] | None,
    ]: ...
    def copy_block(self, source: int, target: int) -> None: ...

class Encoder:
    @staticmethod
    def load(
        file: ModelFile, threads: int, isa: str, progress: Callable[[int, int], object] | None
    ) -> Encoder: ...
    @property
    def dim(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    def encode(self, texts: list[NDArray[np.int32]]) -> NDArray[np.float32]: ...

class kernels:
    @staticmethod
    def scan_f16(isa: str, query: NDArray[np.float32], rows: NDArray[np.uint16]) -> NDArray[np.float32]: ...
    @staticmethod
    def top_k(isa: str, scores: NDArray[np.float32], k: int) -> NDArray[np.int64]: ...

def read_metadata(path: str) -> dict[str, Any]: ...
def cpu_info() -> dict[str, Any]: ...
def chosen_isas(isa: str = "") -> dict[str, str]: ...
