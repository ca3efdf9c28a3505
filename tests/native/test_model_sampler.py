"""Drawing tokens: each option against its definition in numpy, seeds, masks, penalties, logits that are not
numbers.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.engine.native import NativeDecoder
from sillar.engine.request import SamplingParams
from sillar.errors import RequestError
from tests.native.model_support import load, logits, random_tokens, sequence
from tests.oracle.tiny import Tiny, write

VOCAB = 320
PROMPT = random_tokens(1, 12, VOCAB)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> NativeDecoder:
    return load(write(tmp_path_factory.mktemp("tiny") / "m.gguf", Tiny(layers=1)))


@pytest.fixture(scope="module")
def row(decoder: NativeDecoder) -> NDArray[np.float64]:
    return logits(decoder, sequence(PROMPT, outputs=1))[0].astype(np.float64)


def softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(x - x.max())
    return e / e.sum()


def draw(decoder: NativeDecoder, n: int, **options: object) -> Counter[int]:
    """Tokens that n seeds draw after the prompt."""
    batch = [sequence(PROMPT, outputs=1, sampling=SamplingParams(seed=s, **options)) for s in range(n)]  # type: ignore[arg-type]
    return Counter(decoder.step(batch).tokens.tolist())


def test_greedy_takes_the_largest(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    assert draw(decoder, 1) == {int(row.argmax()): 1}


def test_temperature(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    """2000 draws against the tempered distribution: the ten most likely within five deviations."""
    n, probability = 2000, softmax(row / 0.5)
    counts = draw(decoder, n, temperature=0.5)
    for token in np.argsort(-probability)[:10]:
        p = probability[token]
        assert abs(counts[int(token)] - n * p) < 5 * np.sqrt(n * p * (1 - p)) + 1


def test_top_k(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    assert set(draw(decoder, 300, temperature=2.0, top_k=3)) == set(np.argsort(-row)[:3].tolist())
    assert set(draw(decoder, 50, temperature=2.0, top_k=1)) == {int(row.argmax())}


def test_top_p(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    order = np.argsort(-row)
    mass = np.cumsum(softmax(row)[order])
    nucleus = order[: int(np.searchsorted(mass, 0.2)) + 1]
    drawn = set(draw(decoder, 500, temperature=1.0, top_p=0.2))
    assert drawn <= set(nucleus.tolist())
    assert len(drawn) > 0.5 * len(nucleus)
    assert set(draw(decoder, 50, temperature=1.0, top_p=0.0)) == {int(order[0])}


def test_min_p(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    probability = softmax(row)
    kept = set(np.flatnonzero(probability >= 0.5 * probability.max()).tolist())
    assert set(draw(decoder, 400, temperature=1.0, min_p=0.5)) == kept


def test_top_k_and_top_p_together(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    best = np.argsort(-row)[:20]
    mass = np.cumsum(softmax(row[best]))
    kept = best[: int(np.searchsorted(mass, 0.5)) + 1]
    assert set(draw(decoder, 500, temperature=1.0, top_k=20, top_p=0.5)) <= set(kept.tolist())


def test_a_seed_fixes_the_draw(decoder: NativeDecoder) -> None:
    hot = [SamplingParams(temperature=1.5, seed=seed) for seed in range(8)]
    alone = [int(decoder.step([sequence(PROMPT, outputs=1, sampling=s)]).tokens[0]) for s in hot]
    together = decoder.step([sequence(PROMPT, outputs=1, sampling=s) for s in hot]).tokens.tolist()
    assert together == alone
    assert len(set(alone)) > 3
    drafted = decoder.step([sequence(PROMPT, outputs=5, sampling=hot[0])]).tokens.tolist()
    assert drafted[-1] == alone[0]


def test_logit_bias(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    best = int(row.argmax())
    assert draw(decoder, 1, logit_bias={17: 1e4}) == {17: 1}
    assert best not in draw(decoder, 1, logit_bias={best: -1e9})
    with pytest.raises(RequestError):
        draw(decoder, 1, logit_bias={VOCAB: 1.0})


def test_penalties(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    history = np.asarray([3, 3, 9], dtype=np.int32)
    seen = Counter([*history.tolist(), *PROMPT])
    expected = row.copy()
    for token, count in seen.items():
        expected[token] = expected[token] / 1.7 if expected[token] > 0 else expected[token] * 1.7
        expected[token] -= 0.3 + 0.2 * count
    options = SamplingParams(repetition_penalty=1.7, presence_penalty=0.3, frequency_penalty=0.2)
    drawn = decoder.step([sequence(PROMPT, outputs=1, sampling=options, history=history)]).tokens[0]
    assert drawn == expected.argmax()
    with pytest.raises(RequestError, match="history"):
        decoder.step([sequence(PROMPT, outputs=1, sampling=options)])


def test_a_mask_of_allowed_tokens(decoder: NativeDecoder) -> None:
    mask = np.zeros((1, VOCAB // 32), dtype=np.uint32)
    mask[0, 2] = 1 << 5
    assert decoder.step([sequence(PROMPT, outputs=1, allowed=mask)]).tokens.tolist() == [69]
    with pytest.raises(RequestError, match="allows no token"):
        decoder.step([sequence(PROMPT, outputs=1, allowed=np.zeros_like(mask))])
    with pytest.raises(RequestError, match="mask"):
        decoder.step([sequence(PROMPT, outputs=1, allowed=mask[:, :-1].copy())])


def test_logprobs(decoder: NativeDecoder, row: NDArray[np.float64]) -> None:
    options = SamplingParams(logprobs=4, logit_bias={17: 1e4})
    result = decoder.step([sequence(PROMPT, outputs=1, sampling=options)])
    truth = np.log(softmax(row))
    assert result.tokens[0] == 17
    assert result.logprobs[0] == pytest.approx(truth[17], abs=1e-4)
    assert result.top_tokens[0].tolist() == np.argsort(-row)[:4].tolist()
    np.testing.assert_allclose(result.top_logprobs[0], np.sort(truth)[::-1][:4], atol=1e-4)
    assert np.isnan(decoder.step([sequence(PROMPT, outputs=1)]).logprobs[0])


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_k": 5}, {"logprobs": 3}]
)
def test_weights_that_are_not_numbers(options: dict[str, float], tmp_path: Path) -> None:
    """NaN logits draw some token of the vocabulary."""
    path = write(tmp_path / "m.gguf", Tiny(layers=1))
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xff" * 4096
    path.write_bytes(data)
    for _ in range(3):
        sampling = SamplingParams(**{"top_p": 0.9, **options})  # type: ignore[arg-type]
        tokens = load(path).step([sequence(PROMPT, outputs=4, sampling=sampling)]).tokens
        assert ((tokens >= 0) & (tokens < VOCAB)).all()


def test_rows_with_a_target_report_it_and_the_others_draw(decoder: NativeDecoder) -> None:
    """Under the unmodified distribution, whatever the draw's options are."""
    targets = np.array([3, 319, 0], np.int32)
    options = SamplingParams(temperature=0.7, top_k=2, logit_bias={3: 90.0}, seed=5, logprobs=4)
    scored = decoder.step([sequence(PROMPT, outputs=4, sampling=options, targets=targets)])
    drawn = decoder.step([sequence(PROMPT, outputs=4, sampling=options)])
    assert scored.tokens.tolist() == [3, 319, 0, drawn.tokens[3]]
    expected = np.log(
        [softmax(row) for row in logits(decoder, sequence(PROMPT, outputs=4)).astype(np.float64)]
    )
    np.testing.assert_allclose(scored.logprobs, expected[np.arange(4), scored.tokens], atol=1e-5)
    for top, logprobs, row in zip(scored.top_tokens, scored.top_logprobs, expected, strict=True):
        assert top.tolist() == np.argsort(-row, kind="stable")[:4].tolist()
        np.testing.assert_allclose(logprobs, row[top], atol=1e-5)


def test_a_target_alone_is_scored_without_alternatives(decoder: NativeDecoder) -> None:
    scored = decoder.step([sequence(PROMPT, outputs=2, targets=np.array([7, 8], np.int32))])
    assert np.isfinite(scored.logprobs).all()
    assert [len(top) for top in scored.top_tokens] == [0, 0]


@pytest.mark.parametrize("bad", [-1, VOCAB])
def test_a_target_outside_the_vocabulary(decoder: NativeDecoder, bad: int) -> None:
    with pytest.raises(RequestError, match="targets"):
        decoder.step([sequence(PROMPT, outputs=2, targets=np.array([1, bad], np.int32))])


@pytest.mark.parametrize(
    "bad", [{"temperature": -1.0}, {"top_p": 1.5}, {"min_p": float("nan")}, {"repetition_penalty": 0.0}]
)
def test_options_out_of_range(decoder: NativeDecoder, bad: dict[str, float]) -> None:
    with pytest.raises(RequestError):
        draw(decoder, 1, **bad)
