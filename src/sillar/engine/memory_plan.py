"""Shares the free memory out among all models of a process before the first of them is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sillar.errors import ResourceError

KV_SHARE = 0.5
"""KV caches take at most this share of the memory that is left beside the weights."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What one model takes."""

    name: str
    fixed_bytes: int
    """Weights and workspace."""
    block_bytes: int = 0
    """Of one block of its KV cache; 0 for a model without one."""
    blocks: int = 0
    """Blocks that it would like, or must have."""
    exact: bool = False
    """Whether it is so many blocks or none: they were asked for."""

    @property
    def least_bytes(self) -> int:
        """Without which it cannot be loaded."""
        return self.fixed_bytes + (self.blocks if self.exact else min(1, self.blocks)) * self.block_bytes


def plan_memory(needs: Sequence[MemoryNeed], free: int) -> list[int]:
    """KV blocks of each model; all of them together fit into `free` bytes.

    Caches whose size was not asked for shrink alike when there is not room for all. Raises ResourceError,
    which names every model's share, when the models do not fit.
    """
    least = sum(need.least_bytes for need in needs)
    if least > free:
        raise ResourceError(_refusal(needs, least, free))
    elastic = sum(0 if need.exact else need.blocks * need.block_bytes for need in needs)
    certain = sum(need.least_bytes if need.exact else need.fixed_bytes for need in needs)
    scale = min(1.0, KV_SHARE * max(0, free - certain) / elastic) if elastic else 1.0
    return [
        need.blocks if need.exact else max(min(1, need.blocks), int(need.blocks * scale)) for need in needs
    ]


def _refusal(needs: Sequence[MemoryNeed], least: int, free: int) -> str:
    parts = ", ".join(f"{need.name} {_size(need.least_bytes)}" for need in needs)
    advice = ["close other programs", "choose a smaller model"]
    if len(needs) > 1:
        advice.insert(0, "leave a model out")
    if any(need.exact for need in needs):
        advice.append("lower kv_tokens")
    subject = "The model needs" if len(needs) == 1 else "The models need"
    return (
        f"{subject} {_size(least)} of memory ({parts}) and {_size(free)} are free: "
        f"{', '.join(advice[:-1])} or {advice[-1]}."
    )


def _size(number: int) -> str:
    return f"{number / 2**30:.2f} GiB"
