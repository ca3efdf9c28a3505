"""How sure an answer is: calibrated per pairing of languages, with words aligned across languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.documents.alignment import WordVectors, align, content_words, likeness
from sillar.documents.calibration import OTHER_LANGUAGE, SAME_LANGUAGE, Calibration, probability
from sillar.documents.support import find_support
from tests.documents.fakes import DIM, WordEmbedder, open_index

_SENSE = {"murió": "died", "murio": "died", "perro": "dog", "rey": "king"}


class BilingualEmbedder(WordEmbedder):
    """Hashed words, a few Spanish ones at their translations' places."""

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        said = [" ".join(_SENSE.get(word, word) for word in text.lower().split()) for text in texts]
        return await super().embed(said, kind)


async def _rarity(terms: Sequence[str]) -> tuple[dict[str, int], int]:
    return {}, 10


async def test_words_of_another_language_are_aligned() -> None:
    passages = [["The king died in 1547.", "He had a dog."], ["Coffee is free on Fridays."]]
    vectors = WordVectors(BilingualEmbedder())
    found = await align("¿En qué año murió el rey?", "es", passages, vectors, _rarity)
    assert found.sentences.shape == (3,)
    assert found.passages.shape == (2,)
    assert int(found.sentences.argmax()) == 0
    assert found.passages[0] > found.passages[1]


async def test_nothing_to_align_is_no_error() -> None:
    vectors = WordVectors(WordEmbedder())
    found = await align("?", "es", [["Text."], []], vectors, _rarity)
    assert found.sentences.tolist() == [0.0]
    assert found.passages.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("transmision", "transmission", True),
        ("1547", "1547", True),
        ("1547", "1548", False),
        ("casa", "case", False),
        ("especial", "special", True),
        ("rey", "king", False),
    ],
)
def test_cognates_are_alike_and_numbers_must_be_equal(one: str, other: str, alike: bool) -> None:
    assert (likeness(one, other) > 0.5) == alike


async def test_words_are_embedded_once() -> None:
    embedder = WordEmbedder()
    vectors = WordVectors(embedder)
    first = await vectors.of(["king", "dog", "king"])
    assert embedder.embedded == 2
    assert np.array_equal(await vectors.of(["dog"]), first[1:2])
    assert embedder.embedded == 2
    assert (await vectors.of([])).shape == (0, DIM)


def test_content_words_leave_out_what_only_asks() -> None:
    assert content_words("¿Cuántos puntos dejaron escapar los Panthers?") == [
        "puntos", "dejaron", "escapar", "panthers",
    ]  # fmt: skip


def test_the_logit_is_the_weighed_sum() -> None:
    fit = Calibration({"a": 2.0, "b": -1.0}, 0.5, 0.0)
    assert fit.logit({"a": 1.0, "b": 3.0, "unused": 9.0}) == -0.5
    assert probability(0.0) == 0.5
    assert probability(1e9) == pytest.approx(1.0)
    with pytest.raises(KeyError):
        fit.logit({"a": 1.0})


@pytest.mark.parametrize(
    ("question", "weights"),
    [("When did the king die?", SAME_LANGUAGE), ("¿En qué año murió el rey?", OTHER_LANGUAGE)],
)
async def test_features_are_those_that_the_calibration_weighs(
    tmp_path: Path, question: str, weights: Calibration
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for n, text in enumerate(("The king died in 1547 of the fever.", "The dog was with the king that day.")):
        (folder / f"{n}.txt").write_text(text)
    async with open_index(tmp_path / "i.db", BilingualEmbedder()) as index:
        await index.add_folder(folder)
        vector = await index.embed_question(question)
        passages = await index.search(question, 8, vector=vector)

        async def frequencies(terms: Sequence[str]) -> tuple[dict[str, int], int]:
            return await index.read(index.store.document_frequency, terms)

        support = await find_support(question, passages, index.embedder, frequencies, vector)
        assert support.features.keys() == weights.weights.keys()
        assert support.probability == pytest.approx(probability(weights.logit(support.features)), abs=1e-6)
        assert support.sentences[0].text == "The king died in 1547 of the fever."
