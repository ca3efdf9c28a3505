"""Embeddings and scores of pairs against BERT in numpy: tiny models, and multilingual-e5-small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sillar.engine.native import NativeOptions, load_encoder, read_metadata
from sillar.errors import ModelFormatError, ModelUnsupportedError, RequestError
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
    vectors, tokens = encoder.encode_tokens(batch)
    assert np.array_equal(vectors, together)
    assert tokens.shape == (sum(map(len, batch)), 256)
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1, atol=1e-5)
    last = encoder.encode_tokens(batch[-1:])[1]
    assert np.array_equal(tokens[-len(last) :], last)


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


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("weights", "most"), [("F32", 1e-4), ("F16", 1e-4), ("Q8_0", 0.02)])
def test_scores_of_pairs(weights: str, most: float, isa: str, tmp_path: Path) -> None:
    """Where the processor has it, attention runs in bf16 dot products, to 2e-3."""
    if "avx512" in isa:
        most = max(most, 0.01)
    path = write(tmp_path / "m.gguf", replace(BERT, weights=weights, pooling=4))
    encoder = load_encoder(path, NativeOptions(isa=isa))
    pairs, first = texts(2, 7, 33, 128, 50), np.array([1, 7, 12, 100, 1], np.int32)
    together = encoder.score(pairs, first)
    oracle = Bert(path)
    for score, tokens, part in zip(together, pairs, first, strict=True):
        assert score == pytest.approx(oracle.score(tokens.tolist(), int(part)), abs=most)
    alone = [encoder.score([pair], first[i : i + 1])[0] for i, pair in enumerate(pairs)]
    np.testing.assert_array_equal(together, alone)


PAIRS = [
    ("Where does apt keep its sources?", "The package manager reads /etc/apt/sources.list."),
    ("Where does apt keep its sources?", "The kernel schedules processes fairly."),
]


@pytest.fixture(scope="module")
def reranker_truth(reranker_model: Path) -> tuple[list[np.ndarray], np.ndarray, list[float]]:
    """The pairs' tokens, how many are the question's, and their scores in fp32."""
    tokenizer = Tokenizer.from_metadata(read_metadata(reranker_model))
    asked = [tokenizer.encode(question) for question, _ in PAIRS]
    pairs = [a + tokenizer.encode(text, add_bos=False) for a, (_, text) in zip(asked, PAIRS, strict=True)]
    oracle = Bert(reranker_model)
    scores = [oracle.score(pair, len(a)) for pair, a in zip(pairs, asked, strict=True)]
    return [np.array(pair, np.int32) for pair in pairs], np.array([len(a) for a in asked], np.int32), scores


@pytest.mark.parametrize("isa", ISAS)
def test_the_real_reranker(
    isa: str, reranker_model: Path, reranker_truth: tuple[list[np.ndarray], np.ndarray, list[float]]
) -> None:
    pairs, first, truth = reranker_truth
    scores = load_encoder(reranker_model, NativeOptions(isa=isa)).score(pairs, first)
    np.testing.assert_allclose(scores, truth, atol=0.15)
    assert scores[0] > 0 > scores[1] + 5


def test_types_of_tokens_matter(tmp_path: Path) -> None:
    encoder = load_encoder(write(tmp_path / "m.gguf", replace(BERT, pooling=4)))
    one, other = encoder.score(texts(20) * 2, np.array([5, 15], np.int32))
    assert encoder.scores_pairs
    assert abs(one - other) > 1e-3


def test_wrong_pairs(tmp_path: Path) -> None:
    ranker = load_encoder(write(tmp_path / "r.gguf", replace(BERT, pooling=4)))
    embedder = load_encoder(write(tmp_path / "e.gguf", BERT))
    for first in ([0], [21], [-1], [], [1, 1]):
        with pytest.raises(RequestError):
            ranker.score(texts(20), np.array(first, np.int32))
    with pytest.raises(RequestError, match="no embeddings"):
        ranker.encode(texts(20))
    with pytest.raises(RequestError, match="does not score"):
        embedder.score(texts(20), np.array([5], np.int32))


@pytest.mark.parametrize("missing", ["cls.weight", "cls.output.weight"])
def test_a_reranker_without_its_classifier(missing: str, tmp_path: Path) -> None:
    path = write(tmp_path / "r.gguf", replace(BERT, pooling=4))
    broken = path.read_bytes().replace(missing.encode(), missing.replace("cls", "xyz").encode())
    path.write_bytes(broken)
    with pytest.raises(ModelFormatError, match=missing):
        load_encoder(path)
