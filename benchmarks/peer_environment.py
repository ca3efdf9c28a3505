"""Finds or builds the environment that has llama.cpp: llama-cpp-python compiled here, for this processor.

$SILLAR_LLAMA_CPP_PYTHON names the python of an existing one; else it lives under Sillar's cache folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import log
from sillar.hub import cache_dir

VARIABLE = "SILLAR_LLAMA_CPP_PYTHON"
PACKAGE = "llama-cpp-python==0.3.36"
NATIVE = "-DGGML_NATIVE=ON"
AVX2_ONLY = (
    "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
    " -DGGML_AVX512=OFF"
)


def llama_cpp_python(*, avx2_only: bool = False) -> Path:
    """The python that runs peer_llama_cpp; builds it first (minutes) where it is not there."""
    configured = os.environ.get(VARIABLE)
    if configured and not avx2_only:
        return Path(configured)
    folder = cache_dir() / "peers" / ("llama-cpp-avx2" if avx2_only else "llama-cpp")
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        _build(folder, python, AVX2_ONLY if avx2_only else NATIVE)
        (folder / ".complete").touch()
    return python


def _build(folder: Path, python: Path, cmake_args: str) -> None:
    log(f"building {PACKAGE} in {folder} ({cmake_args}): several minutes, once")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "--no-binary", "llama-cpp-python", "numpy", PACKAGE],
        check=True,
        stdout=sys.stderr,
        env={**os.environ, "CMAKE_ARGS": cmake_args, "CMAKE_BUILD_PARALLEL_LEVEL": "2"},
    )


if __name__ == "__main__":
    print(llama_cpp_python(avx2_only="--avx2" in sys.argv[1:]))
