"""The jobs that are killed at every write: what is there before, what runs, what has to hold after a kill."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sillar.documents import FetchRules, Index, WebPages, make_rules, web
from sillar.documents.fetch import Fetched, Validators
from sillar.errors import DocumentError
from tests.documents.fakes import WordEmbedder, open_index

Tell = Callable[[str], None]
_SITE = "https://docs.example.com"
_RULES = make_rules(["docs.example.com"])


@dataclass(frozen=True)
class Scenario:
    """`job` tells the names of documents that are reported as stored; `check` gets those of a killed run."""

    prepare: Callable[[Path], Awaitable[None]]
    job: Callable[[Path, Tell], Awaitable[None]]
    check: Callable[[Path, Sequence[str]], Awaitable[None]]
    at_one_stroke: bool = False
    """Whether there is nothing between all before and all after."""


class Turned(WordEmbedder):
    """Another embedder: the same vectors, turned."""

    async def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        return np.roll(await super().embed(texts, kind), 1, axis=1)


def text(name: str, version: str = "old") -> str:
    """Two chunks that say their document's name and version."""
    return f"First\n=====\n\nThe {version} {name} begins.\n\nSecond\n======\n\nHere ends {name} {version}.\n"


def opened(root: Path, embedder: str = "words:1") -> Index:
    kind = WordEmbedder if embedder == "words:1" else Turned
    return open_index(root / "index" / "i.db", kind(embedder))


def write(root: Path, **files: str) -> Path:
    folder = root / "docs"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


async def found(root: Path, names: Sequence[str], embedder: str = "words:1") -> None:
    """Each of these documents answers to its name."""
    async with opened(root, embedder) as index:
        for name in names:
            stem = name.removeprefix(_SITE).strip("/").removesuffix(".txt")
            passages = await index.search(f"Where does {stem} end?", 3)
            assert name in [passage.document for passage in passages], (name, passages)


async def _nothing(root: Path) -> None:
    write(root, apple=text("apple"))
    (root / "docs" / "empty.txt").write_text("")


async def _index(root: Path, tell: Tell) -> None:
    async with opened(root) as index:
        await index.add_folder(root / "docs", lambda step: step.failed or tell(step.file))


async def _indexed(root: Path) -> None:
    write(root, apple=text("apple"), pear=text("pear"), plum=text("plum"))
    await _index(root, lambda name: None)
    folder = write(root, apple=text("apple", "new"), quince=text("quince"))
    (folder / "pear.txt").rename(folder / "peach.txt")
    (folder / "plum.txt").unlink()


async def fake_fetch(url: str, rules: FetchRules, known: Validators, target: Path) -> Fetched | None:
    """The web: pages that say their name; `new` ones changed, `gone` ones are no more."""
    name = url.rsplit("/", 1)[1]
    state = os.environ.get("KILL_WEB", "old")
    if state == "new" and name == "plum":
        raise DocumentError("The server answered 404.", "gone")
    if state == "new" and name == "pear":
        return None
    data = text(name, state).encode()
    target.write_bytes(data)  # noqa: ASYNC240  the less threads, the faster
    return Fetched("page.txt", len(data), sha256(data).hexdigest(), Validators(f'"{state}"'))


async def _fetch(root: Path, names: Sequence[str], tell: Tell) -> None:
    web.fetch = fake_fetch  # type: ignore[attr-defined]
    async with opened(root) as index:
        pages = WebPages(index, _RULES)
        wanted = await pages.queue([f"{_SITE}/{name}" for name in names])
        await pages.fetch(wanted, lambda step: step.failed or tell(step.file))


async def _fetched(root: Path) -> None:
    await _fetch(root, ["apple", "pear", "plum"], lambda name: None)


async def _fetch_again(root: Path, tell: Tell) -> None:
    os.environ["KILL_WEB"] = "new"
    await _fetch(root, ["apple", "pear", "plum", "quince"], tell)


async def _two_sources(root: Path) -> None:
    write(root, apple=text("apple"))
    await _index(root, lambda name: None)
    await _fetch(root, ["plum"], lambda name: None)
    async with opened(root) as index:
        await index.set_readers("", ["ana"])


async def _rebuild(root: Path, tell: Tell) -> None:
    async with opened(root, "words:2") as index:
        await index.add_folder(root / "docs")
        tell("rebuilt")


async def _check_rebuild(root: Path, reported: Sequence[str]) -> None:
    await found(root, ["apple.txt", f"{_SITE}/plum"], "words:2")
    async with opened(root, "words:2") as index:
        assert not (reported and index.stale)
        assert index.store.readers()[""] == ["ana"]


SCENARIOS = {
    "index": Scenario(_nothing, _index, found),
    "changes": Scenario(_indexed, _index, found),
    "pages": Scenario(_fetched, _fetch_again, found),
    "rebuild": Scenario(_two_sources, _rebuild, _check_rebuild, at_one_stroke=True),
}
