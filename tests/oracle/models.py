"""Real models for tests: from $SILLAR_TEST_MODELS or the cache folder; without one the test is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sillar import hub
from sillar.errors import SillarError


def chat_model() -> Path:
    """SmolLM2-135M-Instruct, Q4_1."""
    return _find("SmolLM2-135M-Instruct.Q4_1.gguf", hub.DEFAULT_CHAT_MODEL)


def embedder() -> Path:
    """multilingual-e5-small, Q4_0."""
    return _find("multilingual-e5-small.gguf", hub.DEFAULT_EMBEDDER)


def _find(file: str, name: str) -> Path:
    folder = os.environ.get("SILLAR_TEST_MODELS")
    if folder and (Path(folder) / file).is_file():
        return Path(folder) / file
    try:
        return hub.resolve(name)
    except SillarError as error:
        pytest.skip(f"needs the model {name}: {error}")
