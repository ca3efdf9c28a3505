"""BERT in ONNX to GGUF: the same weights under llama.cpp's names, the tokenizer; broken files are refused."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader, dequantize

from sillar import hub
from sillar.errors import DownloadError, ModelFormatError, ModelNotFoundError
from sillar.hub import ModelEntry, WheelSource
from sillar.hub.bert_onnx import BertOptions, convert_bert_onnx
from sillar.tokenizer import Tokenizer
from tests.hub.onnx_file import FFN, HIDDEN, LAYERS, POSITIONS, TOKENS, TinyBert, field
from tests.tokenizer.gguf_metadata import read_metadata

OPTIONS = BertOptions("tiny", 2, "find: ")


def convert(folder: Path, model: TinyBert, options: BertOptions = OPTIONS) -> Path:
    convert_bert_onnx(*model.write(folder), folder / "m.gguf", options)
    return folder / "m.gguf"


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {
        t.name: dequantize(t.data, t.tensor_type).reshape(t.shape[::-1]) for t in GGUFReader(path).tensors
    }


@pytest.mark.parametrize("per_column", [False, True])
def test_the_weights_are_the_same(per_column: bool, tmp_path: Path) -> None:
    model = TinyBert(per_column=per_column)
    found = tensors(convert(tmp_path, model))
    layer = "/bert/encoder/layer.1/"
    for name, node in (
        ("blk.1.attn_v", layer + "attention/self/value/MatMul_quant"),
        ("blk.1.attn_output", layer + "attention/output/dense/MatMul_quant"),
        ("blk.1.ffn_up", layer + "intermediate/dense/MatMul_quant"),
        ("blk.1.ffn_down", layer + "output/dense/MatMul_quant"),
        ("cls", "/bert/pooler/dense/Gemm_MatMul_quant"),
        ("cls.output", "/classifier/Gemm_MatMul_quant"),
    ):
        np.testing.assert_array_equal(found[f"{name}.weight"], model.matrix(node))
    words = model.tensors["bert.embeddings.word_embeddings.weight_quantized"].astype(np.float32)
    np.testing.assert_allclose(found["token_embd.weight"], (words - 120) * 0.01, rtol=1e-3)
    np.testing.assert_array_equal(found["cls.output.bias"], model.tensors["classifier.bias"])
    norm = model.tensors["bert.encoder.layer.0.output.LayerNorm.weight"]
    np.testing.assert_array_equal(found["blk.0.layer_output_norm.weight"].ravel(), norm)
    assert len(found) == 5 + LAYERS * 16 + 4


def test_metadata(tmp_path: Path) -> None:
    metadata = read_metadata(convert(tmp_path, TinyBert()))
    expected: dict[str, Any] = {
        "general.architecture": "bert",
        "bert.block_count": LAYERS,
        "bert.embedding_length": HIDDEN,
        "bert.feed_forward_length": FFN,
        "bert.attention.head_count": 2,
        "bert.context_length": POSITIONS,
        "bert.pooling_type": 4,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.token_type_count": 2,
        "sillar.query_prefix": "find: ",
    }
    assert {key: metadata.get(key) for key in expected} == expected


def test_without_a_classifier_it_is_an_embedder(tmp_path: Path) -> None:
    path = convert(tmp_path, TinyBert(classifier=False, root=""))
    assert read_metadata(path)["bert.pooling_type"] == 2
    assert not any(name.startswith("cls") for name in tensors(path))


def test_the_tokenizer_comes_with_it(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_metadata(read_metadata(convert(tmp_path, TinyBert())))
    tokens = [TOKENS[token] for token in tokenizer.encode("The dogs bark. Miau [SEP]")]
    assert tokens == ["[CLS]", "the", "dog", "##s", "bark", ".", *["[UNK]"] * 4, "[SEP]"]


def damage(model: TinyBert, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    model.tensors[name] = change(model.tensors[name])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bert.embeddings.LayerNorm.bias", lambda t: t[:-1]),
        ("bert.embeddings.LayerNorm.bias", lambda t: t * np.float32("nan")),
        ("bert.embeddings.position_embeddings.weight_quantized", lambda t: t[:, :32]),
        ("bert.embeddings.word_embeddings.weight_scale", lambda t: t * 0),
        ("bert.embeddings.word_embeddings.weight_scale", lambda t: np.repeat(t, 2)),
        ("onnx::0_quantized", lambda t: t[:-1]),
        ("onnx::0_quantized", lambda t: t[0]),
        ("onnx::0_quantized", lambda t: t | np.int8(-128)),
        ("onnx::0_quantized", lambda t: t.view(np.uint8)),
        ("onnx::0_zero_point", lambda t: t + np.int8(1)),
        ("onnx::0_scale", lambda t: np.repeat(t, 3)),
        ("onnx::0_scale", lambda t: t * 1e9),
        ("classifier.bias", lambda t: np.repeat(t, 2)),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, change: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    model = TinyBert()
    damage(model, name, change)
    with pytest.raises(ModelFormatError):
        convert(tmp_path, model)
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.parametrize("heads", [0, -1, 7, 10**9])
def test_heads_that_do_not_fit(heads: int, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="heads"):
        convert(tmp_path, TinyBert(), BertOptions("tiny", heads))


def test_a_missing_node_or_tensor_is_named(tmp_path: Path) -> None:
    model = TinyBert()
    del model.nodes["/bert/encoder/layer.1/output/dense/MatMul_quant"]
    with pytest.raises(ModelFormatError, match=r"layer\.1\.output\.dense"):
        convert(tmp_path, model)
    model = TinyBert()
    del model.tensors["bert.pooler.dense.bias"]
    with pytest.raises(ModelFormatError, match=r"pooler\.dense\.bias"):
        convert(tmp_path, model)


@pytest.mark.parametrize(
    "text", ["", "\n".join(TOKENS[:-1]), "\n".join([*TOKENS[:-1], "the"]), "\n".join("abcdefghijk")]
)
def test_a_vocabulary_that_does_not_fit(text: str, tmp_path: Path) -> None:
    model, vocabulary = TinyBert().write(tmp_path)
    vocabulary.write_text(text)
    with pytest.raises(ModelFormatError, match="vocab"):
        convert_bert_onnx(model, vocabulary, tmp_path / "m.gguf", OPTIONS)


def test_weights_outside_of_the_file_are_refused(tmp_path: Path) -> None:
    outside = field(8, "bert.pooler.dense.bias") + field(1, HIDDEN) + field(2, 1) + field(14, 1)
    model = TinyBert()
    del model.tensors["bert.pooler.dense.bias"]
    path, vocabulary = model.write(tmp_path)
    path.write_bytes(model.bytes(field(5, outside)))
    with pytest.raises(ModelFormatError, match="another file"):
        convert_bert_onnx(path, vocabulary, tmp_path / "m.gguf", OPTIONS)


def test_damaged_files_never_do_worse_than_an_error(tmp_path: Path) -> None:
    path, vocabulary = TinyBert().write(tmp_path)
    raw = path.read_bytes()
    for length in [*range(0, 400, 57), len(raw) // 2, len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(ModelFormatError):
            convert_bert_onnx(path, vocabulary, tmp_path / "m.gguf", OPTIONS)
    generator = random.Random(4711)
    refused = 0
    for _ in range(40):
        damaged = bytearray(raw)
        for _ in range(20):
            damaged[generator.randrange(len(raw))] = generator.choice([0, 0x7F, 0x80, 0xFF])
        path.write_bytes(damaged)
        try:
            convert_bert_onnx(path, vocabulary, tmp_path / "m.gguf", OPTIONS)
        except ModelFormatError:
            refused += 1
    assert refused > 5


def entry(model: bytes, vocabulary: bytes) -> dict[str, ModelEntry]:
    source = WheelSource("tiny-bert==1.0", "data/model.onnx", vocabulary="data/vocab.txt")
    made = ModelEntry(
        name="tiny",
        description="",
        kind="reranker",
        languages=("en",),
        licence="MIT",
        context=8,
        file="model.onnx",
        sources=(source,),
        sha256=hashlib.sha256(model).hexdigest(),
        size=len(model),
        convert="bert-onnx",
        vocabulary_sha256=hashlib.sha256(vocabulary).hexdigest(),
        heads=2,
    )
    return {"tiny": made}


def test_pulled_from_a_wheel(add_wheel: Callable[..., Path], tmp_path: Path) -> None:
    model, vocabulary = (path.read_bytes() for path in TinyBert().write(tmp_path))
    add_wheel("tiny_bert", "1.0", {"data/model.onnx": model, "data/vocab.txt": vocabulary})
    path = hub.pull("tiny", entries=entry(model, vocabulary))
    assert read_metadata(path)["general.name"] == "tiny"
    path.unlink()
    (tmp_path / "index" / "tiny_bert-1.0-py3-none-any.whl").unlink()
    assert hub.pull("tiny", entries=entry(model, vocabulary)) == path  # from what was kept


def test_a_vocabulary_with_another_hash(add_wheel: Callable[..., Path], tmp_path: Path) -> None:
    model, vocabulary = (path.read_bytes() for path in TinyBert().write(tmp_path))
    add_wheel("tiny_bert", "1.0", {"data/model.onnx": model, "data/vocab.txt": vocabulary + b"evil\n"})
    with pytest.raises(DownloadError, match="vocabulary"):
        hub.pull("tiny", entries=entry(model, vocabulary))
    with pytest.raises(ModelNotFoundError):
        hub.resolve("tiny")
