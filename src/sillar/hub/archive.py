"""Takes one file out of a wheel. An archive is hostile input: nothing of it is imported or executed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sillar.errors import DownloadError
from sillar.hub.cache import Progress, ProgressEvent, silent

_CHUNK = 1 << 20
_MAX_MEMBERS = 100_000
_MAX_RATIO = 200
MAX_MEMBER = 64 << 30


def copy_member(
    archive: Path, member: str, out: BinaryIO, *, limit: int = MAX_MEMBER, progress: Progress = silent
) -> int:
    """Copies the file `member` of the zip `archive` into `out`; returns its bytes.

    Raises DownloadError when the archive is damaged, when the member is missing, doubled or not a plain
    file, and when it unpacks to more than `limit` bytes, than it declares, or more than 200 times its
    packed size (a zip bomb).
    """
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member:
        raise DownloadError(f"{member!r} is not a name that a file in an archive may have.")
    try:
        with zipfile.ZipFile(archive) as bundle:
            info = _find(bundle, member, archive.name, limit)
            return _copy(bundle, info, out, progress)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DownloadError(f"{archive.name} is damaged: {error}") from error


def _find(bundle: zipfile.ZipFile, member: str, archive: str, limit: int) -> zipfile.ZipInfo:
    infos = bundle.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise DownloadError(f"{archive} holds {len(infos)} files, more than {_MAX_MEMBERS}.")
    found = [info for info in infos if info.filename == member]
    if len(found) != 1:
        raise DownloadError(f"{archive} should hold {member!r} once and has it {len(found)} times.")
    info = found[0]
    mode = info.external_attr >> 16
    if info.is_dir() or (mode & 0o170000) not in (0, 0o100000):
        raise DownloadError(f"{member!r} in {archive} is not a plain file.")
    if info.file_size > limit or info.file_size > _MAX_RATIO * max(info.compress_size, 4096):
        raise DownloadError(f"{member!r} in {archive} would unpack to {info.file_size} bytes: refused.")
    return info


def _copy(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, out: BinaryIO, progress: Progress) -> int:
    done = 0
    with bundle.open(info) as handle:
        while chunk := handle.read(_CHUNK):
            done += len(chunk)
            if done > info.file_size:
                raise DownloadError(f"{info.filename!r} unpacks to more than it declares: refused.")
            out.write(chunk)
            progress(ProgressEvent("unpack", done, info.file_size))
    if done != info.file_size:
        raise DownloadError(f"{info.filename!r} is cut short: {done} of {info.file_size} bytes.")
    return done
