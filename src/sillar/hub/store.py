"""What the cache holds: one folder a model with its file and a record of where it came from."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from sillar.errors import ModelNotFoundError
from sillar.hub.cache import atomic_file, lock, models_dir

_RECORD = "model.json"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in the cache. `size` (bytes) and `sha256` are of the file `path`.

    `source_sha256` is the hash of what was downloaded, before a conversion; `verified` says that it was
    the catalogue's or the hub's own hash.
    """

    name: str
    path: Path
    size: int
    source: str
    source_sha256: str
    verified: bool
    converter: str = ""


def folder_of(name: str) -> Path:
    """The folder of a model, by its catalogue name or hf: address."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "--", name)
    if plain == name and not name.startswith("."):
        return models_dir() / name
    return models_dir() / f"{plain.lstrip('.')[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def find(name: str) -> LocalModel | None:
    """The model `name` of the cache, or None. A file of another size than recorded does not count."""
    return _read(folder_of(name) / _RECORD, name)


def record(model: LocalModel) -> None:
    """Writes the record that makes the model findable; its file must be in place."""
    content = {**asdict(model), "path": model.path.name}
    with atomic_file(folder_of(model.name) / _RECORD) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def local_models() -> list[LocalModel]:
    """Every model in the cache, by name."""
    found = [_read(path) for path in models_dir().glob(f"*/{_RECORD}")]
    return sorted((model for model in found if model is not None), key=lambda model: model.name)


def remove(name: str) -> int:
    """Deletes a model from the cache and returns the bytes that it held. Raises ModelNotFoundError."""
    folder = folder_of(name)
    with lock(name):
        if not (folder / _RECORD).is_file():
            raise ModelNotFoundError(
                f"There is no model {name!r} in the cache. `sillar models` lists what is."
            )
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        (folder / _RECORD).unlink()
        shutil.rmtree(folder)
    return size


def _read(path: Path, name: str | None = None) -> LocalModel | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        file = path.parent / Path(content.pop("path")).name
        model = LocalModel(path=file, **content)
        whole = file.stat().st_size == model.size and (name is None or model.name == name)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return model if whole else None
