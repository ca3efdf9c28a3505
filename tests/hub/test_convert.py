"""E5S1 to GGUF: the same bytes under llama.cpp's names, the tokenizer with it; broken files are refused."""

import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader

from sillar.errors import ModelFormatError
from sillar.hub.convert import convert_e5s1, gguf_name
from sillar.hub.e5s1 import read_e5s1
from sillar.tokenizer import Tokenizer
from tests.hub.e5_file import PIECES, SHAPE, write_e5
from tests.tokenizer.gguf_metadata import read_metadata


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    convert_e5s1(write_e5(tmp_path / "e5.bin"), tmp_path / "e5.gguf")
    return tmp_path / "e5.gguf"


def test_metadata(converted: Path) -> None:
    metadata = read_metadata(converted)
    expected: dict[str, Any] = {
        "general.architecture": "bert",
        "bert.block_count": SHAPE["layers"],
        "bert.embedding_length": SHAPE["hidden"],
        "bert.feed_forward_length": SHAPE["ffn"],
        "bert.attention.head_count": SHAPE["heads"],
        "bert.context_length": SHAPE["positions"],
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 3,
        "tokenizer.ggml.padding_token_id": 1,
        "sillar.query_prefix": "query: ",
        "sillar.passage_prefix": "passage: ",
    }
    assert {key: metadata.get(key) for key in expected} == expected
    assert metadata["bert.attention.layer_norm_epsilon"] == pytest.approx(1e-12)
    assert metadata["tokenizer.ggml.tokens"] == [*PIECES, "<unused0>", "<unused1>"]
    assert metadata["tokenizer.ggml.token_type"] == [3, 3, 3, 2, *([1] * 7), 3, 5, 5]


def test_tensors_keep_their_bytes(converted: Path, tmp_path: Path) -> None:
    model = read_e5s1(tmp_path / "e5.bin")
    found = {tensor.name: tensor for tensor in GGUFReader(converted).tensors}
    assert found.keys() == {gguf_name(name) for name in model.tensors}
    for name, source in model.tensors.items():
        tensor = found[gguf_name(name)]
        quantised = source.dtype == np.uint8
        assert tensor.tensor_type == (GGMLQuantizationType.Q4_0 if quantised else GGMLQuantizationType.F32)
        assert tensor.data.tobytes() == source.tobytes()
    assert list(found["token_embd.weight"].shape) == [SHAPE["hidden"], SHAPE["vocab"]]
    assert list(found["blk.0.ffn_down.weight"].shape) == [SHAPE["ffn"], SHAPE["hidden"]]


def test_the_tokenizer_comes_with_it(converted: Path) -> None:
    tokenizer = Tokenizer.from_metadata(read_metadata(converted))
    tokens = [PIECES[token] for token in tokenizer.encode("hola\tn\u0303")]
    assert tokens == ["<s>", "▁ho", "la", "▁", "ñ", "</s>"]


def test_the_same_file_gives_the_same_bytes(converted: Path, tmp_path: Path) -> None:
    convert_e5s1(tmp_path / "e5.bin", tmp_path / "again.gguf")
    assert converted.read_bytes() == (tmp_path / "again.gguf").read_bytes()


@pytest.mark.parametrize(
    "shape",
    [
        {"hidden": 0},
        {"hidden": 48},
        {"heads": 3},
        {"layers": -1},
        {"layers": 2**31 - 1},
        {"vocab": 5},
        {"types": 65},
    ],
)
def test_impossible_shapes_are_refused(tmp_path: Path, shape: dict[str, int]) -> None:
    path = write_e5(tmp_path / "e5.bin")
    raw = bytearray(path.read_bytes())
    struct.pack_into("<7i", raw, 8, *{**SHAPE, **shape}.values())
    path.write_bytes(raw)
    with pytest.raises(ModelFormatError):
        convert_e5s1(path, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_cut_files_are_refused(tmp_path: Path) -> None:
    raw = write_e5(tmp_path / "e5.bin").read_bytes()
    for length in [*range(0, 600, 7), len(raw) // 2, len(raw) - 1]:
        path = tmp_path / "cut.bin"
        path.write_bytes(raw[:length])
        with pytest.raises(ModelFormatError):
            read_e5s1(path)


def test_damaged_files_never_do_worse_than_an_error(tmp_path: Path) -> None:
    raw = write_e5(tmp_path / "e5.bin").read_bytes()
    generator = random.Random(4711)
    path = tmp_path / "damaged.bin"
    refused = 0
    for _ in range(400):
        damaged = bytearray(raw)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(8, 1400)
            damaged[at] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)])
        path.write_bytes(damaged)
        try:
            read_e5s1(path)
        except ModelFormatError:
            refused += 1
    assert refused > 200
