"""The arithmetic against shapes whose published figures are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillar.errors import ModelFormatError
from sillar.model_spec import GGML_TYPES, ModelSpec, TensorInfo, weight_bytes
from tests.oracle.gguf_reader import TensorReader


def mistral_7b() -> ModelSpec:
    """The shape of Mistral 7B v0.1: 7.24 billion parameters."""
    hidden, ffn, kv, vocab, layers = 4096, 14336, 1024, 32000, 32
    tensors = [
        TensorInfo("token_embd.weight", (hidden, vocab), "Q4_0"),
        TensorInfo("output.weight", (hidden, vocab), "Q6_K"),
        TensorInfo("output_norm.weight", (hidden,), "F32"),
    ]
    for i in range(layers):
        tensors += [
            TensorInfo(f"blk.{i}.attn_q.weight", (hidden, hidden), "Q4_0"),
            TensorInfo(f"blk.{i}.attn_k.weight", (hidden, kv), "Q4_0"),
            TensorInfo(f"blk.{i}.attn_v.weight", (hidden, kv), "Q4_0"),
            TensorInfo(f"blk.{i}.attn_output.weight", (hidden, hidden), "Q4_0"),
            TensorInfo(f"blk.{i}.ffn_gate.weight", (hidden, ffn), "Q4_0"),
            TensorInfo(f"blk.{i}.ffn_up.weight", (hidden, ffn), "Q4_0"),
            TensorInfo(f"blk.{i}.ffn_down.weight", (ffn, hidden), "Q4_0"),
            TensorInfo(f"blk.{i}.attn_norm.weight", (hidden,), "F32"),
            TensorInfo(f"blk.{i}.ffn_norm.weight", (hidden,), "F32"),
        ]
    metadata = {
        "general.architecture": "llama",
        "general.name": "Mistral 7B",
        "llama.block_count": layers,
        "llama.embedding_length": hidden,
        "llama.attention.head_count": 32,
        "llama.attention.head_count_kv": 8,
        "llama.context_length": 32768,
    }
    return ModelSpec.from_metadata(metadata, tensors)


def test_mistral_7b() -> None:
    spec = mistral_7b()
    assert spec.parameters == 7_241_732_096
    assert spec.vocab_size == 32000
    assert spec.kv_bytes_per_token() == 131_072  # 128 KiB a token in f16
    assert spec.kv_bytes(8192) == 2**30
    assert spec.matrix_weights == 7_241_732_096 - 32000 * 4096 - 65 * 4096
    assert 4.0e9 < spec.file_bytes < 4.2e9
    assert spec.flops_per_token() == 2 * spec.matrix_weights
    assert spec.flops_per_token(1000) - spec.flops_per_token() == 2 * 32 * 32 * 256 * 1000
    assert spec.decode_bytes(1000, 4) == spec.matrix_bytes + 4 * 131_072_000


def test_a_tied_embedding_is_read_as_the_output() -> None:
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 2,
        "llama.context_length": 32,
    }
    embedding, norm = (
        TensorInfo("token_embd.weight", (64, 100), "F16"),
        TensorInfo("output_norm.weight", (64,), "F32"),
    )
    spec = ModelSpec.from_metadata(metadata, [embedding, norm])
    assert spec.matrix_weights == 6400
    assert (spec.kv_heads, spec.head_dim) == (2, 32)


@pytest.mark.parametrize("key", ["llama.block_count", "llama.embedding_length", "general.architecture"])
def test_what_is_missing_is_named(key: str) -> None:
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 2,
        "llama.context_length": 32,
    }
    del metadata[key]
    with pytest.raises(ModelFormatError):
        ModelSpec.from_metadata(metadata, [])


def test_block_sizes_are_the_format_s() -> None:
    gguf = pytest.importorskip("gguf")
    for name, (block, size) in GGML_TYPES.items():
        assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]] == (block, size)
    assert weight_bytes(33, "Q4_0") == 36
    with pytest.raises(ModelFormatError):
        weight_bytes(1, "Q9_9")


def test_a_real_file(chat_model: Path) -> None:
    reader = TensorReader(chat_model)
    tensors = [TensorInfo(t.name, tuple(map(int, t.shape)), t.tensor_type.name) for t in reader.tensors]
    metadata = {key: field.contents() for key, field in reader.fields.items()}
    spec = ModelSpec.from_metadata(metadata, tensors)
    assert spec.parameters == 134_515_008
    assert spec.file_bytes == sum(int(t.n_bytes) for t in reader.tensors)
    assert spec.kv_bytes_per_token() == 30 * 3 * 128 * 2
