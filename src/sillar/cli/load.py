"""Builds the objects that commands use, each from its own settings."""

from __future__ import annotations

from sillar.config import EngineConfig
from sillar.engine.native import NativeOptions


def native_options(config: EngineConfig) -> NativeOptions:
    """The engine's settings as the native side takes them."""
    return NativeOptions(
        threads=config.threads,
        isa=config.isa,
        kv_type=config.kv_type,
        kv_tokens=config.kv_tokens,
        context=config.context,
    )
