"""The only importer of the extension: loads models, steps the decoder, encodes texts, reads metadata.

Every function here turns `_native.Error` into the exception tree of sillar.errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillar import _native
from sillar.engine.content_hash import content_hash
from sillar.engine.memory import available_memory
from sillar.engine.memory_plan import MemoryNeed, plan_memory
from sillar.engine.packed_cache import packed_file
from sillar.engine.request import BLOCK_TOKENS, SequenceStep, StepResult
from sillar.errors import ModelFormatError, ModelUnsupportedError, RequestError, ResourceError, SillarError
from sillar.model_spec import ModelSpec, TensorInfo

Progress = Callable[[int, int], object]
"""Called with bytes packed so far and in all."""

_ERRORS: dict[str, type[SillarError]] = {
    "file_format": ModelFormatError,
    "unsupported": ModelUnsupportedError,
    "out_of_memory": ResourceError,
    "invalid_request": RequestError,
}
_TYPES = {
    **{0: "F32", 1: "F16", 30: "BF16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0"},
    **{10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K"},
}
"""GGUF's numbers of the types of weights."""
_PROBE_SECONDS = 0.005
_WITHOUT_VECTORS = 2e9  # operations a second of a core: the reference kernels
_WORKSPACE_BYTES = 256 << 20
_REQUEST_TOKENS = 2048
"""Of an ordinary request, prompt and answer; memory of the cache that is never written is never taken."""


@dataclass(frozen=True, slots=True)
class NativeOptions:
    """Where and how a model runs.

    threads 0: as many as the processor and its quota allow. isa "": the best; else an upper limit
    ("reference", "avx2", "avx512", "amx"). kv_type: "f16", "bf16" or "int8";
    "auto": bf16 where the processor multiplies it, else f16. kv_tokens 0: the context, or room for
    `requests` of ordinary length if that is more, bounded by the memory that is free. context 0: the
    model's own. keep_packed: large models' packed weights stay on disk and are mapped at the next start;
    where the kernel has only small pages for files (a sixth slower at decode) and memory has room for the
    model twice, they are copied to huge ones.
    """

    threads: int = 0
    isa: str = ""
    kv_type: str = "auto"
    kv_tokens: int = 0
    context: int = 0
    keep_packed: bool = True
    requests: int = 1


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except _native.Error as error:
        raise _ERRORS.get(error.kind, SillarError)(str(error)) from None
    except MemoryError:
        raise ResourceError("The memory for this is not there; use a smaller model or context.") from None


class NativeDecoder:
    """A decoder in memory; implements sillar.engine.request.Stepper."""

    def __init__(self, decoder: _native.Decoder) -> None:
        self._decoder = decoder

    @property
    def vocab_size(self) -> int:
        return self._decoder.vocab_size

    @property
    def context_length(self) -> int:
        return self._decoder.context_length

    @property
    def kv_blocks(self) -> int:
        return self._decoder.kv_blocks

    @property
    def threads(self) -> int:
        return self._decoder.threads

    def step(self, batch: Sequence[SequenceStep], *, want_logits: bool = False) -> StepResult:
        """Runs the new tokens of every sequence and draws a token for each output row.

        The log-probabilities are NaN in rows whose sampling.logprobs is 0: they cost a pass over the
        vocabulary. Raises RequestError for a batch that reaches outside the model or its cache.
        """
        with _typed_errors():
            return StepResult(*self._decoder.step(batch, want_logits))

    @property
    def block_bytes(self) -> int:
        """Bytes of one KV block's content, all layers."""
        return self._decoder.block_bytes

    def read_block(self, block: int) -> NDArray[np.uint8]:
        """A copy of one KV block's content, in the layout of this model, KV type and build."""
        with _typed_errors():
            return self._decoder.read_block(block)

    def write_block(self, block: int, content: NDArray[np.uint8]) -> None:
        """Puts back what read_block gave. Raises RequestError for a wrong block or size."""
        with _typed_errors():
            self._decoder.write_block(block, content)


class NativeEncoder:
    """An encoder in memory."""

    def __init__(self, encoder: _native.Encoder) -> None:
        self._encoder = encoder

    @property
    def dim(self) -> int:
        return self._encoder.dim

    @property
    def max_tokens(self) -> int:
        return self._encoder.max_tokens

    def encode(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        """[n, dim], unit length. Raises RequestError for a text that is empty or longer than max_tokens."""
        with _typed_errors():
            return self._encoder.encode(list(texts))

    def encode_tokens(
        self, texts: Sequence[NDArray[np.int32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What `encode` gives, and each token's last hidden state, [tokens of all texts, dim], unit length.

        Raises RequestError as `encode` does.
        """
        with _typed_errors():
            return self._encoder.encode_tokens(list(texts))

    @property
    def scores_pairs(self) -> bool:
        """Whether the model is a cross-encoder: it has `score` and no `encode`."""
        return self._encoder.scores_pairs

    def score(self, pairs: Sequence[NDArray[np.int32]], first: NDArray[np.int32]) -> NDArray[np.float32]:
        """[n], the classifier's value for each pair; the first `first[i]` tokens are of type 0.

        Raises RequestError as `encode` does, and for a first part that reaches outside its pair.
        """
        with _typed_errors():
            return self._encoder.score(list(pairs), first)


def read_metadata(path: Path | str) -> dict[str, Any]:
    """A GGUF file's metadata; arrays as lists. Raises ModelFormatError, ModelUnsupportedError."""
    with _typed_errors():
        return _native.read_metadata(str(path))


def read_spec(path: Path | str, metadata: Mapping[str, Any]) -> ModelSpec:
    """The figures of a GGUF file, whose metadata was read before. Raises as read_metadata does."""
    with _typed_errors():
        tensors = _native.ModelFile.open(str(path)).tensors
    return ModelSpec.from_metadata(
        metadata, (TensorInfo(name, shape, _TYPES[t]) for name, shape, t in tensors)
    )


def peak_operations(options: NativeOptions, *, integers: bool) -> float:
    """Multiplications and additions a second that the model's threads do at most, of bytes or of floats.

    Measured in a few milliseconds.
    """
    cpu = cpu_info()
    threads = options.threads or cpu["threads"]
    isa = chosen_isas(options.isa)["matmul"]
    if isa == "reference":
        return _WITHOUT_VECTORS * threads
    cores = cpu["physical"][:threads]
    rate = _native.kernels.probe(isa, "int8" if integers else "fp32", cores, _PROBE_SECONDS)
    return rate * min(threads, len(cpu["allowed"])) / len(cores)


def cpu_info() -> dict[str, Any]:
    """What the processor has and this process may use: see native/kernels/cpu.h."""
    return _native.cpu_info()


def chosen_isas(isa: str = "") -> dict[str, str]:
    """{operation: instruction set} that a model would get under the limit `isa`."""
    with _typed_errors():
        return _native.chosen_isas(isa)


def memory_need(path: Path | str, name: str, options: NativeOptions | None = None) -> MemoryNeed:
    """What the model would take, for plan_memory. Raises ModelFormatError, ModelUnsupportedError."""
    with _typed_errors():
        return _need(_native.ModelFile.open(str(path)), name, options or NativeOptions())


def layout_version(options: NativeOptions) -> tuple[str, ...]:
    """What the bytes of a KV block depend on, beside the model: its type, the kernels and this build."""
    isas = (f"{operation}={isa}" for operation, isa in sorted(chosen_isas(options.isa).items()))
    return (content_hash(Path(_native.__file__)), _kv_type(options), *isas)


def load_decoder(
    path: Path | str, options: NativeOptions | None = None, progress: Progress | None = None
) -> NativeDecoder:
    """Maps, checks and packs a language model.

    Raises ModelFormatError, ModelUnsupportedError, ResourceError when memory is short, and
    KeyboardInterrupt between two tensors.
    """
    options = options or NativeOptions()
    with _typed_errors():
        file = _native.ModelFile.open(str(path))
        need, free = _need(file, Path(path).name, options), available_memory()
        [blocks] = plan_memory([need], free)
        kept = packed_file(Path(path), file.weight_bytes) if options.keep_packed else None
        kept_path, kept_key = ("", b"") if kept is None else (str(kept[0]), kept[1])
        return NativeDecoder(
            _native.Decoder.load(
                file,
                options.threads,
                options.isa,
                _kv_type(options),
                max(1, blocks),  # an encoder's file has no cache: loading says what is wrong with it
                options.context,
                kept_path,
                kept_key,
                free >= 2 * need.least_bytes,  # so that a second process with this model would still fit
                progress,
            )
        )


def load_encoder(
    path: Path | str, options: NativeOptions | None = None, progress: Progress | None = None
) -> NativeEncoder:
    """Maps, checks and packs an embedding model. Raises as load_decoder does."""
    options = options or NativeOptions()
    with _typed_errors():
        file = _native.ModelFile.open(str(path))
        plan_memory([_need(file, Path(path).name, options)], available_memory())
        return NativeEncoder(_native.Encoder.load(file, options.threads, options.isa, progress))


def scan_f16(query: NDArray[np.float32], rows: NDArray[np.float16], isa: str = "") -> NDArray[np.float32]:
    """scores[n] = rows[n, dim] . query[dim]."""
    with _typed_errors():
        return _native.kernels.scan_f16(isa, query, rows.view(np.uint16))


def top_k(scores: NDArray[np.float32], k: int, isa: str = "") -> NDArray[np.int64]:
    """Indices of the k largest, descending, ties by lower index."""
    with _typed_errors():
        return _native.kernels.top_k(isa, scores, k)


def _kv_type(options: NativeOptions) -> str:
    if options.kv_type != "auto":
        return options.kv_type
    return "bf16" if cpu_info()["avx512_bf16"] and options.isa in ("", "avx512", "amx") else "f16"


def _need(file: _native.ModelFile, name: str, options: NativeOptions) -> MemoryNeed:
    """The KV cache as asked for, or for the context and the requests; none for an encoder."""
    fixed = file.weight_bytes + _WORKSPACE_BYTES
    if file.is_encoder:
        return MemoryNeed(name, fixed)
    context = options.context or file.context_length
    wanted = max(context, options.requests * min(context, _REQUEST_TOKENS))
    blocks = -(-(options.kv_tokens or wanted) // BLOCK_TOKENS)
    exact = options.kv_tokens > 0
    return MemoryNeed(name, fixed, file.kv_block_bytes(_kv_type(options)), blocks, exact)
