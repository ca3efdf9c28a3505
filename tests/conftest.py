"""The default models for tests that need real weights, from the cache that `make test` fills."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from sillar import hub
from sillar.errors import ModelNotFoundError

# No test depends on time, and every run tries the same examples.
settings.register_profile("sillar", deadline=None, derandomize=True)
settings.load_profile("sillar")
# A client's limit is for what hangs: httpx's own 5 seconds can pass on a busy machine.
for _phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _phase, 120.0)


@pytest.fixture(scope="session")
def chat_model() -> Path:
    """SmolLM2-135M-Instruct as a GGUF file."""
    return _find(hub.DEFAULT_CHAT_MODEL, "SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture(scope="session")
def embedding_model() -> Path:
    """multilingual-e5-small as a GGUF file."""
    return _find(hub.DEFAULT_EMBEDDER, "e5-small-q4.bin")


@pytest.fixture(scope="session")
def reranker_model() -> Path:
    """ms-marco-MiniLM-L-12-v2 as a GGUF file; not among the defaults, so skipped where it was not pulled."""
    return _find(hub.DEFAULT_RERANKER, "ms-marco-minilm-l-12-v2.gguf")


def _find(name: str, file: str) -> Path:
    folder = os.environ.get("SILLAR_TEST_MODELS")
    if folder and (Path(folder) / file).is_file():
        return hub.pull(str(Path(folder) / file))
    try:
        return hub.resolve(name)
    except ModelNotFoundError as error:
        pytest.skip(f"needs real weights. {error}")
