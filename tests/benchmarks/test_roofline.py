"""The probe of the processor's limits answers for what the processor has and refuses the rest."""

import os

import pytest

_native = pytest.importorskip("sillar._native")
roofline = pytest.importorskip("benchmarks.roofline")

CPUS = sorted(os.sched_getaffinity(0))


def test_limits_are_positive_for_every_isa_that_runs():
    result = roofline.limits(windows=1, seconds=0.002)
    for operations in result.values():
        assert {"int8", "fp32", "read"} <= operations.keys()
        for rates in operations.values():
            assert rates["one"]["best"] > 0
            assert rates["all"]["best"] > 0
    assert roofline.table(result).count("\n") == 1 + sum(len(operations) for operations in result.values())


def test_unknown_isa_and_no_cpu_are_refused():
    with pytest.raises(_native.Error):
        _native.kernels.probe("mmx", "int8", CPUS[:1], 0.001)
    with pytest.raises(_native.Error):
        _native.kernels.probe("avx2", "int8", [], 0.001)


def test_an_operation_that_does_not_exist_has_no_rate():
    if "avx2" not in roofline.limits(windows=1, seconds=0.001):
        pytest.skip("no AVX2 here")
    assert _native.kernels.probe("avx2", "bf16", CPUS[:1], 0.001) == 0
