"""Files from the model hub: addresses, login and errors are huggingface_hub's, the resuming is ours."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from sillar.errors import DownloadError
from sillar.hub.cache import Progress, ProgressEvent, require_disk, silent
from sillar.hub.catalogue import HubSource

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTEMPTS = 5
_sleep = time.sleep
_TIMEOUT = httpx.Timeout(10.0, read=30.0)
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE, _SERVER_ERROR = 206, 416, 500


@dataclass(frozen=True, slots=True)
class HubFile:
    """What the hub says of a file. `sha256` is known for large files; `etag` names the exact content."""

    url: str
    etag: str
    size: int | None
    sha256: str | None


def offline() -> bool:
    """Whether the environment asks for no network (HF_HUB_OFFLINE or SILLAR_OFFLINE)."""
    return any(
        os.environ.get(name, "").lower() in ("1", "true", "yes", "on")
        for name in ("HF_HUB_OFFLINE", "SILLAR_OFFLINE")
    )


def describe(source: HubSource) -> HubFile:
    """Asks the hub for a file's size and hash. Raises DownloadError that says what to do."""
    if offline():
        raise DownloadError(
            f"{source} is not here and offline mode is on (HF_HUB_OFFLINE or SILLAR_OFFLINE)."
        )
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        url = hf_hub_url(source.repo, source.file, revision=source.revision, endpoint=endpoint)
        metadata = get_hf_file_metadata(url, timeout=10.0)
    except GatedRepoError as error:
        raise DownloadError(
            f"{source.repo} asks for a login and its licence's acceptance: set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"The hub has no repository {source.repo}, or it is private (set HF_TOKEN)."
        ) from error
    except (EntryNotFoundError, RevisionNotFoundError) as error:
        raise DownloadError(f"{source.repo} has no file {source.file} at {source.revision}.") from error
    except OfflineModeIsEnabled as error:
        raise DownloadError(f"{source} is not here and offline mode is on (HF_HUB_OFFLINE).") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise DownloadError(f"The model hub did not answer for {source}: {_short(error)}") from error
    except Exception as error:
        if not type(error).__module__.startswith("http"):
            raise
        raise DownloadError(f"The model hub cannot be reached for {source}: {_short(error)}") from error
    etag = metadata.etag or ""
    return HubFile(url, etag, metadata.size, etag if _SHA256.fullmatch(etag) else None)


def fetch(file: HubFile, partial: Path, progress: Progress = silent) -> None:
    """Fills `partial` with the file's bytes, going on from what is already there.

    Transient failures are tried again; after 5 in a row without a new byte, DownloadError.
    """
    failures = 0
    while True:
        have = partial.stat().st_size if partial.exists() else 0
        if file.size is not None and have == file.size:
            return
        if file.size is not None:
            require_disk(partial.parent, file.size - have)
        try:
            _fetch_once(file, partial, have, progress)
            now = partial.stat().st_size
            if file.size is None or now == file.size:
                return
            reason: Any = f"{now} of {file.size} bytes came"
        except (httpx.TransportError, _ServerBusyError) as error:
            now = partial.stat().st_size if partial.exists() else 0
            reason = error
        failures = 1 if now > have else failures + 1
        if failures >= _ATTEMPTS:
            raise DownloadError(
                f"The download of {file.url} broke off: {_short(reason)}. Try again: it resumes."
            )
        _sleep(min(0.1 * 2**failures, 2.0))


class _ServerBusyError(Exception):
    pass


def _fetch_once(file: HubFile, partial: Path, have: int, progress: Progress) -> None:
    headers = {"Accept-Encoding": "identity"}
    if token := get_token():
        headers["Authorization"] = f"Bearer {token}"
    if have:
        headers["Range"] = f"bytes={have}-"
    with (
        httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client,
        client.stream("GET", file.url, headers=headers) as response,
    ):
        if response.status_code >= _SERVER_ERROR or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise _ServerBusyError(f"the hub answered {response.status_code}")
        if response.status_code == _RANGE_NOT_SATISFIABLE:
            partial.unlink()
            raise _ServerBusyError("the partial file did not fit the offered one")
        if response.is_error:
            raise DownloadError(f"The hub answered {response.status_code} for {file.url}.")
        resumed = response.status_code == _PARTIAL_CONTENT and _starts_at(response, have)
        done = have if resumed else 0
        with partial.open("ab" if resumed else "wb") as out:
            for chunk in response.iter_raw():
                done += len(chunk)
                if file.size is not None and done > file.size:
                    raise DownloadError(f"{file.url} sends more than the {file.size} bytes it announced.")
                out.write(chunk)
                progress(ProgressEvent("download", done, file.size))


def _starts_at(response: httpx.Response, have: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return (text[:200] + "...") if len(text) > 200 else text or type(error).__name__
