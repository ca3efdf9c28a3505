"""Generated models: valid files whose weights are sane and whose mixtures follow llama.cpp's rule."""

import gguf
import numpy as np
import pytest

from benchmarks import make_model, model_shapes


@pytest.mark.parametrize("kind", model_shapes.KINDS)
def test_weights_are_sane(tmp_path, kind):
    path = make_model.ensure_model("tiny", kind, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    shape = model_shapes.SHAPES["tiny"]
    wanted = {name: (rows, cols, type_) for name, rows, cols, type_ in model_shapes.tensors(shape, kind)}
    tensors = gguf.GGUFReader(path).tensors
    assert [tensor.name for tensor in tensors] == list(wanted)
    for tensor in tensors:
        rows, cols, weight_type = wanted[tensor.name]
        assert tensor.tensor_type == weight_type
        values = gguf.dequantize(tensor.data, weight_type).reshape(rows, cols) * np.sqrt(cols)
        if weight_type != gguf.GGMLQuantizationType.F32:
            assert abs(values.mean()) < 0.15
            assert 0.9 < values.std() < 1.1


def test_both_ends_and_every_third_layer_get_more_bits():
    assert [layer for layer in range(32) if model_shapes.more_bits(layer, 32)] == [
        *range(4), 6, 9, 12, 15, 18, 21, 24, 27, *range(28, 32)
    ]  # fmt: skip


def test_parameter_counts_are_the_known_ones():
    billions = {
        name: sum(rows * cols for _, rows, cols, _ in model_shapes.tensors(shape, "Q4_0")) / 1e9
        for name, shape in model_shapes.SHAPES.items()
    }
    assert billions["tinyllama-1.1b"] == pytest.approx(1.10, abs=0.01)
    assert billions["mistral-7b"] == pytest.approx(7.24, abs=0.01)
    assert billions["llama-2-7b"] == pytest.approx(6.74, abs=0.01)
    assert billions["llama-2-13b"] == pytest.approx(13.02, abs=0.02)
    assert billions["internlm2-20b"] == pytest.approx(19.86, abs=0.1)
