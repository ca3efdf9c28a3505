"""A sequence's logits do not depend on how its tokens are cut into steps, on what else is in the batch, or on
which blocks of the cache it has: equal to the last bit, on every instruction set.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sillar.engine.native import NativeDecoder
from tests.native.model_support import BLOCK, ISAS, distance, load, logits, random_tokens, sequence, table
from tests.oracle.tiny import MISTRAL, QWEN3, Tiny, with_weights, write

MODELS = {
    "q4_1": with_weights(Tiny(), "Q4_1"),
    "f16": with_weights(Tiny(), "F16"),
    "mistral": with_weights(MISTRAL, "Q4_K"),
    "qwen3": with_weights(QWEN3, "Q8_0"),
}


@pytest.fixture(params=MODELS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path / "m.gguf", MODELS[request.param])


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def decoder(isa: str, path: Path) -> NativeDecoder:
    return load(path, isa, kv_tokens=2048)


def in_steps(decoder: NativeDecoder, tokens: list[int], cuts: list[int]) -> NDArray[np.float32]:
    bounds = [0, *cuts, len(tokens)]
    parts = [
        logits(decoder, sequence(tokens[begin:end], past=begin, blocks=table(len(tokens))))
        for begin, end in pairwise(bounds)
    ]
    return np.concatenate(parts)


def check_cut(isa: str, cut: NDArray[np.float32], whole: NDArray[np.float32]) -> None:
    """Beyond 512 tokens the reference adds ranges of a cut in another order: it differs in the last bits."""
    if isa == "reference":
        assert distance(cut, whole) < 1e-2
    else:
        np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("cuts", [[64], [1, 2, 3, 17, 50], [33, 34, 35, 36], [96]])
def test_chunks_of_a_prompt(decoder: NativeDecoder, cuts: list[int]) -> None:
    tokens = random_tokens(1, 100, 320)
    whole = logits(decoder, sequence(tokens))
    np.testing.assert_array_equal(in_steps(decoder, tokens, cuts), whole)


def test_a_step_longer_than_a_pass(decoder: NativeDecoder, isa: str) -> None:
    """More than 512 tokens take several passes inside one step."""
    tokens = random_tokens(2, 700, 320)
    whole = logits(decoder, sequence(tokens))
    check_cut(isa, in_steps(decoder, tokens, [333, 650]), whole)


def test_attention_merged_from_ranges(decoder: NativeDecoder, isa: str) -> None:
    """A short chunk past position 512 is summed over ranges by threads, and merged in order.

    The same sums as in a long chunk.
    """
    tokens = random_tokens(2, 600, 320)
    whole = logits(decoder, sequence(tokens))[505:]
    check_cut(isa, in_steps(decoder, tokens, [505, 530, 540, 541, 542, 545, 562])[505:], whole)


def test_the_company_in_a_batch(decoder: NativeDecoder) -> None:
    a, b, c = (random_tokens(seed, n, 320) for seed, n in ((3, 40), (4, 1), (5, 77)))
    alone = [logits(decoder, sequence(x, blocks=table(len(x), 10 * i))) for i, x in enumerate((a, b, c))]
    steps = [sequence(x, blocks=table(len(x), 10 * i)) for i, x in enumerate((a, b, c))]
    np.testing.assert_array_equal(logits(decoder, *steps), np.concatenate(alone))
    np.testing.assert_array_equal(logits(decoder, *steps[::-1]), np.concatenate(alone[::-1]))


def test_decoding_together_with_a_prompt(decoder: NativeDecoder) -> None:
    long, other = random_tokens(6, 600, 320), random_tokens(7, 50, 320)
    blocks = table(len(long) + 1, 20)
    decoder.step([sequence(long, blocks=blocks, outputs=0)])
    alone = logits(decoder, sequence([5], past=len(long), blocks=blocks))
    together = logits(decoder, sequence([5], past=len(long), blocks=blocks), sequence(other))
    np.testing.assert_array_equal(together[:1], alone)


def test_drafted_tokens_verify_like_single_ones(decoder: NativeDecoder) -> None:
    tokens = random_tokens(8, 700, 320)
    decoder.step([sequence(tokens[:690], blocks=table(700), outputs=0)])
    one_by_one = [
        logits(decoder, sequence([t], past=690 + i, blocks=table(700))) for i, t in enumerate(tokens[690:])
    ]
    drafted = logits(decoder, sequence(tokens[690:], past=690, blocks=table(700)))
    np.testing.assert_array_equal(drafted, np.concatenate(one_by_one))


def test_permuted_blocks(decoder: NativeDecoder) -> None:
    tokens = random_tokens(9, 100, 320)
    whole = logits(decoder, sequence(tokens))
    permuted = np.array([99, 3, 57, 8, 2, 90, 41], dtype=np.int32)
    np.testing.assert_array_equal(logits(decoder, sequence(tokens, blocks=permuted)), whole)


def test_a_shared_prefix(decoder: NativeDecoder) -> None:
    prefix, a, b = random_tokens(10, 4 * BLOCK, 320), random_tokens(11, 20, 320), random_tokens(12, 9, 320)
    whole = [logits(decoder, sequence(prefix + tail, outputs=len(tail))) for tail in (a, b)]
    shared = np.array([70, 12, 30, 44], dtype=np.int32)
    decoder.step([sequence(prefix, blocks=shared, outputs=0)])
    own = [np.concatenate([shared, table(len(tail), first)]) for tail, first in ((a, 80), (b, 90))]
    both = logits(
        decoder,
        sequence(a, past=len(prefix), blocks=own[0]),
        sequence(b, past=len(prefix), blocks=own[1]),
    )
    np.testing.assert_array_equal(both, np.concatenate(whole))


def test_a_block_that_was_away(decoder: NativeDecoder) -> None:
    tokens = random_tokens(15, 32, 320)
    decoder.step([sequence(tokens, outputs=0)])
    expected = logits(decoder, sequence([7], past=32))
    contents = [decoder.read_block(block) for block in (0, 1)]
    assert all(content.shape == (decoder.block_bytes,) for content in contents)
    decoder.step([sequence(random_tokens(16, 32, 320), outputs=0)])  # overwrites them
    for block, content in zip((60, 61), contents, strict=True):
        decoder.write_block(block, content)
    restored = logits(decoder, sequence([7], past=32, blocks=np.array([60, 61, 62], dtype=np.int32)))
    np.testing.assert_array_equal(restored, expected)


def test_only_rows_asked_for(decoder: NativeDecoder) -> None:
    tokens = random_tokens(14, 60, 320)
    whole = logits(decoder, sequence(tokens))
    np.testing.assert_array_equal(logits(decoder, sequence(tokens, outputs=3)), whole[-3:])
    assert logits(decoder, sequence(tokens, outputs=0)).shape == (0, 320)
