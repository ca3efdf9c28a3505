"""Our logits against a transformer in numpy, for every architecture, weight type and instruction set.

Tolerances, root mean square relative to the logits' own:
- Float weights, against the oracle that rounds keys and values to fp16 as the cache does: 1e-4. What is
  left is fp32 summation order and an fp16 rounding that falls the other way now and then; 1e-5 is usual.
- Float weights, against pure fp32: 5e-4. An fp16 rounding is at most 2^-11 = 4.9e-4 of a key or value.
- Quantised weights, against pure fp32: activations are int8 with a scale a group of 32. The largest of 32
  normal values is near 2.2 deviations, so a step is 2.2 / 127 = 1.7e-2 deviations and its rounding error
  0.29 of that, 5e-3 an input. It enters at four products a layer and at the output: about 1.1e-2 here.
  2.5e-2 leaves a factor of two; a wrong scale, zero point or group would show as 0.1 or more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.native.model_support import ISAS, distance, load, logits, random_tokens, sequence
from tests.oracle import blocks
from tests.oracle.tiny import DECODERS, Tiny, with_weights, write
from tests.oracle.transformer import Transformer

MIXED = Tiny(weights="Q4_K", mixed={"ffn_down": "Q6_K", "attn_v": "Q6_K", "output": "Q8_0", "attn_k": "F16"})


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DECODERS)
def test_every_architecture(name: str, isa: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", DECODERS[name])
    tokens = random_tokens(1, 100, DECODERS[name].vocab)
    ours = logits(load(path, isa), sequence(tokens))
    assert distance(ours, Transformer(path, as_engine=True).logits(tokens)) < 1e-4
    assert distance(ours, Transformer(path).logits(tokens)) < 5e-4


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", blocks.ALL)
def test_every_weight_type(kind: str, isa: str, tmp_path: Path) -> None:
    model = with_weights(Tiny(), kind)
    path = write(tmp_path / "m.gguf", model)
    tokens = random_tokens(2, 70, model.vocab)
    ours = logits(load(path, isa), sequence(tokens))
    tolerance = 5e-4 if kind in ("F32", "F16", "BF16") else 2.5e-2
    assert distance(ours, Transformer(path).logits(tokens)) < tolerance


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "mistral", "tied"])
def test_architectures_with_quantised_weights(name: str, tmp_path: Path) -> None:
    model = with_weights(DECODERS[name], "Q4_0")
    path = write(tmp_path / "m.gguf", model)
    tokens = random_tokens(3, 70, model.vocab)
    assert distance(logits(load(path), sequence(tokens)), Transformer(path).logits(tokens)) < 2.5e-2


def test_a_mixture_of_types_in_one_file(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", MIXED)
    tokens = random_tokens(4, 70, MIXED.vocab)
    assert distance(logits(load(path), sequence(tokens)), Transformer(path).logits(tokens)) < 2.5e-2


@pytest.mark.parametrize(("kv_type", "tolerance"), [("f16", 5e-4), ("bf16", 4e-3), ("int8", 1e-2)])
def test_types_of_the_kv_cache(kv_type: str, tolerance: float, tmp_path: Path) -> None:
    """bf16 has 3 bits less than fp16; int8 rounds each head's keys to 1/254 of their largest."""
    path = write(tmp_path / "m.gguf", Tiny())
    tokens = random_tokens(5, 100, 320)
    ours = logits(load(path, kv_type=kv_type), sequence(tokens))
    assert distance(ours, Transformer(path).logits(tokens)) < tolerance


TEXT = [504, 3575, 282, 4649, 314, 7042, 30, 198, 198, 504, 1797, 1918, 553, 253, 2155]


@pytest.mark.parametrize("isa", ISAS)
def test_smollm2_on_real_text(isa: str, chat_model: Path) -> None:
    """30 layers of int8 activations: the next-token distribution stays within 0.02 nats of fp32's."""
    tokens = TEXT[:8] if isa == "reference" else TEXT
    ours = logits(load(chat_model, isa), sequence(tokens)).astype(np.float64)
    truth = Transformer(chat_model).logits(tokens).astype(np.float64)
    ours -= np.logaddexp.reduce(ours, axis=-1, keepdims=True)
    truth -= np.logaddexp.reduce(truth, axis=-1, keepdims=True)
    divergence = np.sum(np.exp(truth) * (truth - ours), axis=-1)
    assert divergence.mean() < 0.02
    assert divergence.max() < 0.1
