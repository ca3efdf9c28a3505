"""Hostile model files under AddressSanitizer and UBSan: a typed error or success, never a crash, never an
allocation that the file's size does not explain. `make sanitize` builds the driver and sets
$SILLAR_FUZZ_DRIVER; $SILLAR_FUZZ_EXAMPLES is how many files each test tries."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.tiny import BERT, QWEN3, Tiny, write
from tests.sanitize.driver import OUTCOMES, Driver

PROGRAM = os.environ.get("SILLAR_FUZZ_DRIVER", "")
EXAMPLES = int(os.environ.get("SILLAR_FUZZ_EXAMPLES", "300"))
pytestmark = pytest.mark.skipif(not PROGRAM, reason="needs the sanitizer build: make sanitize")

SMALL: dict[str, Any] = {
    "layers": 1, "hidden": 64, "ffn": 64, "heads": 2, "kv_heads": 1, "head_dim": 32,
    "vocab": 48, "context": 64,
}  # fmt: skip
K_QUANTS = {"attn_v": "Q6_K", "attn_k": "Q2_K", "ffn_up": "Q3_K", "ffn_down": "Q5_K"}
SEEDS = [
    Tiny(weights="Q4_0", **SMALL),
    Tiny(weights="F16", rope_factors=True, window=8, **SMALL),
    replace(QWEN3, weights="Q8_0", tied=True, **SMALL),
    replace(BERT, weights="Q4_1", **{**SMALL, "kv_heads": 2, "context": 32}),
    Tiny(weights="Q4_K", layers=1, ffn=256, vocab=48, mixed=K_QUANTS),
]
NUMBERS = [
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    255,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**61,
    2**63 - 1,
    2**63,
    2**64 - 1,
]
FILLERS = [bytes([byte]) * 64 for byte in (0xFF, 0x00, 0x7E, 0x7C)]  # in fp16: NaN, 0, NaN, infinity


@dataclass(frozen=True)
class Seed:
    """A valid file, where its tensors' data begin, its metadata's keys and its tensors' names."""

    data: bytes
    header: int
    keys: list[bytes]
    names: list[bytes]

    def after(self, name: bytes) -> int:
        """Where the fields that follow a key or a tensor's name begin."""
        return self.data.index(struct.pack("<Q", len(name)) + name) + 8 + len(name)


def fuzz(**strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    options = settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    return lambda test: options(given(**strategies)(test))


@pytest.fixture(scope="module", params=["reference", ""], ids=["reference", "best"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    driver = Driver(Path(PROGRAM), request.param)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    found = []
    for i, model in enumerate(SEEDS):
        path = write(tmp_path_factory.mktemp("seeds") / f"{i}.gguf", model)
        reader = gguf.GGUFReader(path)
        keys = [key.encode() for key in reader.fields if not key.startswith("GGUF.")]
        names = [tensor.name.encode() for tensor in reader.tensors]
        found.append(Seed(path.read_bytes(), int(reader.data_offset), keys, names))
    return found


def overwrite(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


shares = st.floats(0, 1)
seeds = st.integers(0, len(SEEDS) - 1)
numbers = st.sampled_from(NUMBERS) | st.integers(0, 2**64 - 1)
edits = st.lists(st.tuples(shares, st.sampled_from([1, 4, 8]), numbers), min_size=1, max_size=4)
fills = st.lists(st.tuples(shares, st.sampled_from(FILLERS)), min_size=1, max_size=30)


def test_seeds_are_valid(driver: Driver, files: list[Seed]) -> None:
    assert [driver.run(seed.data) for seed in files] == ["ok"] * len(files)


@fuzz(seed=seeds, share=shares, in_header=st.booleans())
def test_truncated(driver: Driver, files: list[Seed], seed: int, share: float, in_header: bool) -> None:
    file = files[seed]
    end = int(share * (file.header if in_header else len(file.data)))
    assert driver.run(file.data[:end]) in (OUTCOMES if end > len(file.data) - 64 else ("file_format",))


@fuzz(seed=seeds, edits=edits)
def test_numbers_anywhere_in_the_header(
    driver: Driver, files: list[Seed], seed: int, edits: list[tuple[float, int, int]]
) -> None:
    data = files[seed].data
    for share, width, number in edits:
        data = overwrite(data, int(share * files[seed].header), struct.pack("<Q", number)[:width])
    assert driver.run(data) in OUTCOMES


@fuzz(seed=seeds, data=st.data(), number=numbers)
def test_every_metadata_value(
    driver: Driver, files: list[Seed], seed: int, data: st.DataObject, number: int
) -> None:
    """Counts and sizes near every power of two; and another type for the same bytes."""
    file = files[seed]
    at = file.after(data.draw(st.sampled_from(file.keys)))
    changed = overwrite(file.data, at + 4, struct.pack("<Q", number)[: data.draw(st.sampled_from([4, 8]))])
    kind = data.draw(st.sampled_from([None, None, *range(14), 2**32 - 1]))
    if kind is not None:
        changed = overwrite(changed, at, struct.pack("<I", kind))
    assert driver.run(changed) in OUTCOMES


@fuzz(seed=seeds, data=st.data(), number=numbers)
def test_every_tensors_description(
    driver: Driver, files: list[Seed], seed: int, data: st.DataObject, number: int
) -> None:
    """Dimensions, types and offsets: absurd, overlapping, outside of the file."""
    file = files[seed]
    at = file.after(data.draw(st.sampled_from(file.names)))
    (dims,) = struct.unpack_from("<I", file.data, at)
    end = 4 + 8 * dims
    fields = [(0, "<I"), (4, "<Q"), (end - 8, "<Q"), (end, "<I"), (end + 4, "<Q")]
    field, form = data.draw(st.sampled_from(fields))
    value = struct.pack(form, number % 2**32 if form == "<I" else number)
    assert driver.run(overwrite(file.data, at + field, value)) in OUTCOMES


@fuzz(seed=seeds, fills=fills)
def test_scales_and_weights_that_are_not_numbers(
    driver: Driver, files: list[Seed], seed: int, fills: list[tuple[float, bytes]]
) -> None:
    """NaN and infinite scales: bad weights are no bad file."""
    data, begin = files[seed].data, files[seed].header
    for share, value in fills:
        data = overwrite(data, begin + int(share * (len(data) - begin - 64)), value)
    assert driver.run(data) == "ok"
