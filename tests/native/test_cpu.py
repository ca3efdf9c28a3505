"""What the processor reports, against /proc and the affinity mask; the choice of kernels and its errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.native.kernel_support import isas, native


def test_instruction_sets_agree_with_the_kernel() -> None:
    flags = Path("/proc/cpuinfo").read_text().split("flags")[1].splitlines()[0].split()
    info = native.cpu_info()
    assert info["avx2"] == ({"avx2", "fma", "f16c"} <= set(flags))
    assert info["avx512_vnni"] == ("avx512_vnni" in flags)
    assert info["avx512_bf16"] == ("avx512_bf16" in flags)


def test_threads_follow_the_affinity_mask() -> None:
    allowed = os.sched_getaffinity(0)
    info = native.cpu_info()
    assert set(info["allowed"]) == allowed
    assert set(info["physical"]) <= allowed
    one = min(allowed)
    try:
        os.sched_setaffinity(0, {one})
        alone = native.cpu_info()
    finally:
        os.sched_setaffinity(0, allowed)
    assert (alone["allowed"], alone["threads"]) == ([one], 1)
    assert alone["threads_reason"] == "1 physical core allowed by the affinity mask."


def test_reference_is_everywhere_and_the_limit_holds() -> None:
    for operation in ("attention", "vector"):
        assert isas(operation)[0] == "reference"
        assert native.chosen_isas("reference")[operation] == "reference"
        assert native.chosen_isas()[operation] == isas(operation)[-1]


@pytest.mark.parametrize("name", ["sse9", "AVX2", " "])
def test_unknown_isa(name: str) -> None:
    with pytest.raises(native.Error, match="unknown instruction set") as caught:
        native.chosen_isas(name)
    assert caught.value.kind == "unsupported"
