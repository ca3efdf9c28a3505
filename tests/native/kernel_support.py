"""What the kernel tests share: the raw kernels, the ISAs of this machine, random arrays."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

native = pytest.importorskip("sillar._native", reason="the native extension is not built")
kernels = native.kernels

Floats = NDArray[np.float32]


def isas(operation: str) -> list[str]:
    """The instruction sets of this machine that `operation` has kernels for."""
    return [isa for isa, operations in native.cpu_info()["isas"].items() if operation in operations]


def normal(seed: int, *shape: int, scale: float = 1.0) -> Floats:
    """Normally distributed fp32, the same for the same seed and shape."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)
