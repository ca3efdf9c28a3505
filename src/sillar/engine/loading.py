"""Loads models by name or path: file, tokenizer and template put together with the native engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sillar.chat_template import ChatTemplate, encode_chat
from sillar.engine.codec import Message
from sillar.engine.content_hash import content_hash
from sillar.engine.cost import first_speed
from sillar.engine.embedder import Embedder, EmbedderSpec
from sillar.engine.engine import Engine, EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.native import (
    NativeDecoder,
    NativeOptions,
    Progress,
    layout_version,
    load_decoder,
    load_encoder,
    peak_operations,
    read_metadata,
    read_spec,
)
from sillar.engine.request import BLOCK_TOKENS
from sillar.engine.reranker import Reranker
from sillar.engine.spill import KvSpill, SpillOptions
from sillar.engine.spill_folder import SpillFolder
from sillar.errors import ModelUnsupportedError
from sillar.model_spec import ModelSpec
from sillar.tokenizer import IncrementalDecoder, Tokenizer

_FINGERPRINT = 32
"""Hexadecimal digits of the file's hash: other weights, other vectors."""


_RANK = 4
"""GGUF's pooling type of a cross-encoder."""


class ModelCodec:
    """A model file's own tokenizer and chat template; implements Codec."""

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.control_tokens = {token: name for name, token in tokenizer.control_texts.items()}
        self.bos_token, self.eos_token = (
            self.control_tokens.get(-1 if token is None else token, "")
            for token in (tokenizer.bos_id, tokenizer.eos_id)
        )

    @property
    def eos_ids(self) -> frozenset[int]:
        return self.tokenizer.eos_ids

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def template_source(self) -> str:
        return self.template.tool_source or self.template.source

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text)

    def encode_text(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_bos=False, add_eos=False)

    def encode_chat(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[int]:
        return encode_chat(self.tokenizer, self.template, messages, tools)

    def decoder(self) -> IncrementalDecoder:
        return IncrementalDecoder(self.tokenizer)

    def token_bytes(self, token: int) -> bytes:
        return self.tokenizer.text_bytes(token)


def load_language_model(
    path: Path,
    native: NativeOptions | None = None,
    *,
    name: str | None = None,
    options: EngineOptions | None = None,
    progress: Progress | None = None,
) -> LanguageModel:
    """Reads a GGUF; enter the result to start its engine.

    Raises ModelFormatError, ModelUnsupportedError, and ResourceError before the memory is taken.
    """
    metadata = read_metadata(path)
    tokenizer = Tokenizer.from_metadata(metadata)
    codec = ModelCodec(tokenizer, ChatTemplate.from_metadata(metadata))
    decoder = load_decoder(path, native, progress)
    spill = None
    if options is not None and options.kv_spill is not None and options.prefix_cache:
        spill = _spill(path, native or NativeOptions(), decoder, options.kv_spill)
    spec = read_spec(path, metadata)
    engine = Engine(
        decoder,
        options,
        eos_ids=tokenizer.eos_ids,
        spill=spill,
        first_speed=_first_speed(spec, native or NativeOptions()),
    )
    return LanguageModel(name or _name(path, metadata), engine, codec, weights=spec.matrix_weights)


def _first_speed(spec: ModelSpec, native: NativeOptions) -> float:
    floats = spec.matrix_bytes >= 2 * spec.matrix_weights
    return first_speed(spec.flops_per_token(), peak_operations(native, integers=not floats))


def _spill(path: Path, native: NativeOptions, decoder: NativeDecoder, options: SpillOptions) -> KvSpill:
    """What another model, kernel, KV type or build of the extension wrote is never read.

    Raises ConfigError for a folder that cannot be used.
    """
    kernels = (layout_version(native), decoder.block_bytes, BLOCK_TOKENS)
    version = blake2b(repr(kernels).encode(), digest_size=8).hexdigest()
    folder = SpillFolder(options.folder, content_hash(path)[:32], version, decoder.block_bytes, options.bytes)
    return KvSpill(decoder, folder)


def load_embedder(
    path: Path,
    native: NativeOptions | None = None,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> Embedder:
    """Reads a GGUF of an embedding model. Raises as load_language_model does."""
    metadata = read_metadata(path)
    if "sillar.query_prefix" not in metadata and metadata.get("general.architecture") == "llama":
        raise ModelUnsupportedError(f"{path.name} is a language model, not an embedding model.")
    if _is_reranker(metadata):
        raise ModelUnsupportedError(f"{path.name} is a reranker, not an embedding model.")
    tokenizer = Tokenizer.from_metadata(metadata)
    encoder = load_encoder(path, native, progress)
    prefixes = {kind: str(metadata.get(f"sillar.{kind}_prefix", "")) for kind in ("query", "passage")}
    spec = EmbedderSpec(name or _name(path, metadata), content_hash(path)[:_FINGERPRINT], prefixes)
    return Embedder(encoder, tokenizer.encode, spec)


def load_reranker(
    path: Path,
    native: NativeOptions | None = None,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> Reranker:
    """Reads a GGUF of a BERT cross-encoder. Raises as load_language_model does."""
    metadata = read_metadata(path)
    # Others (XLM-R's) put a pair together in another way.
    if not _is_reranker(metadata) or metadata.get("tokenizer.ggml.model") != "bert":
        raise ModelUnsupportedError(
            f"{path.name} is not a reranker of BERT's kind with a WordPiece vocabulary."
        )
    tokenizer = Tokenizer.from_metadata(metadata)

    def tokenize(text: str, begins: bool) -> list[int]:
        return tokenizer.encode(text, add_bos=begins, add_eos=True)

    return Reranker(name or _name(path, metadata), load_encoder(path, native, progress), tokenize)


def _is_reranker(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("bert.pooling_type") == _RANK


def _name(path: Path, metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("general.name") or path.stem)
