"""Embeddings against BERT in numpy: tiny models, and multilingual-e5-small on English and Spanish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sillar.engine.native import NativeOptions, load_encoder, read_metadata
from sillar.errors import ModelUnsupportedError, RequestError
from sillar.tokenizer import Tokenizer
from tests.native.model_support import ISAS, load
from tests.oracle.encoder import Bert
from tests.oracle.tiny import BERT, Tiny, write

SENTENCES = [
    "query: Where does Debian keep the configuration of apt?",
    "passage: The package manager reads /etc/apt/sources.list and the files in /etc/apt/sources.list.d.",
    "query: ¿Cuántos días de vacaciones corresponden al primer año?",
    "passage: El trabajador tendrá derecho a treinta días naturales de vacaciones por año trabajado, según "
    "el artículo 38 del Estatuto de los Trabajadores; su duración no se sustituye por dinero.",
]


def texts(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 320, n).astype(np.int32) for n in lengths]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("pooling", [1, 2])
@pytest.mark.parametrize(
    ("weights", "least"), [("F32", 1 - 1e-5), ("F16", 1 - 1e-5), ("Q4_0", 0.9995), ("Q8_0", 0.9995)]
)
def test_ragged_texts(weights: str, least: float, pooling: int, isa: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", replace(BERT, weights=weights, pooling=pooling))
    batch = texts(1, 7, 33, 128, 50)
    ours = load_encoder(path, NativeOptions(isa=isa)).encode(batch)
    oracle = Bert(path)
    for vector, tokens in zip(ours, batch, strict=True):
        assert vector @ vector == pytest.approx(1, abs=1e-5)
        assert vector @ oracle.embed(tokens.tolist()) > least


@pytest.mark.parametrize("isa", ISAS)
def test_the_batch_changes_nothing(isa: str, tmp_path: Path) -> None:
    encoder = load_encoder(write(tmp_path / "m.gguf", replace(BERT, weights="Q4_0")), NativeOptions(isa=isa))
    batch = texts(*[5 + 11 * i % 120 for i in range(40)])  # more than one pass
    together = encoder.encode(batch)
    alone = np.concatenate([encoder.encode([text]) for text in batch])
    np.testing.assert_array_equal(together, alone)
    assert encoder.encode([]).shape == (0, 256)


@pytest.fixture(scope="module")
def e5_truth(embedding_model: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The sentences' tokens and their vectors in fp32."""
    tokenizer = Tokenizer.from_metadata(read_metadata(embedding_model))
    batch = [np.asarray(tokenizer.encode(text, add_bos=True), dtype=np.int32) for text in SENTENCES]
    oracle = Bert(embedding_model)
    return batch, [oracle.embed(tokens.tolist()) for tokens in batch]


@pytest.mark.parametrize("isa", ISAS)
def test_e5_in_english_and_spanish(
    isa: str, embedding_model: Path, e5_truth: tuple[list[np.ndarray], list[np.ndarray]]
) -> None:
    batch, truth = e5_truth
    batch = batch[:1] if isa == "reference" else batch
    ours = load_encoder(embedding_model, NativeOptions(isa=isa)).encode(batch)
    for vector, expected in zip(ours, truth, strict=False):
        assert vector @ expected >= 0.999


def test_wrong_texts(tmp_path: Path) -> None:
    encoder = load_encoder(write(tmp_path / "m.gguf", BERT))
    for bad in ([], [320], [-1], [1] * 129):
        with pytest.raises(RequestError):
            encoder.encode([np.asarray(bad, dtype=np.int32)])


def test_a_model_of_the_other_kind(tmp_path: Path) -> None:
    encoder, decoder = write(tmp_path / "e.gguf", BERT), write(tmp_path / "d.gguf", Tiny())
    with pytest.raises(ModelUnsupportedError, match="embedding model"):
        load(encoder)
    with pytest.raises(ModelUnsupportedError, match="not an embedding model"):
        load_encoder(decoder)
