"""The child process that parses files: one JSON request a line on stdin, one length-prefixed JSON reply
each on stdout.

It may not write files or open many, and its memory and CPU time are limited; whatever it does wrong ends
here.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import stat
import struct
import sys
from typing import Any

from sillar.documents.ingest.detect import media_type
from sillar.documents.ingest.parse import parse
from sillar.errors import DocumentError


def main() -> None:
    """Serves requests {path, name} until stdin ends. Arguments: CPU seconds a file, memory bytes, file
    bytes.
    """
    cpu_seconds, memory_bytes, file_bytes = (int(argument) for argument in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = int(usage.ru_utime + usage.ru_stime) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_seconds, resource.RLIM_INFINITY))
        reply = json.dumps(_answer(request, file_bytes)).encode("ascii")
        replies.write(struct.pack("<Q", len(reply)))
        replies.write(reply)
        replies.flush()


def _answer(request: dict[str, Any], file_bytes: int) -> dict[str, Any]:
    try:
        data = _read(request["path"], file_bytes)
        document = parse(data, media_type(request["name"], data), ocr=bool(request.get("ocr")))
        return {"document": document.to_json(), "hash": hashlib.sha256(data).hexdigest()}
    except DocumentError as error:
        return {"error": str(error), "kind": error.kind}
    except MemoryError:
        return {"error": "Reading it takes more memory than is allowed.", "kind": "limits"}
    except RecursionError:
        return {"error": "Its structure is nested too deeply.", "kind": "limits"}
    except OSError as error:
        return {"error": f"It cannot be opened: {error.strerror or error}."}
    except Exception as error:
        return {"error": f"It cannot be read ({type(error).__name__})."}


def _read(path: str, file_bytes: int) -> bytes:
    """The bytes of a regular file; never waits on a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError("It is not a regular file.")
        if status.st_size > file_bytes:
            raise DocumentError(f"It is larger than {file_bytes >> 20} MiB.", "too_large")
        data = file.read(file_bytes + 1)
    if len(data) > file_bytes:
        raise DocumentError(f"It is larger than {file_bytes >> 20} MiB.", "too_large")
    if not data.strip():
        raise DocumentError("It is empty.", "empty")
    return data


if __name__ == "__main__":
    main()
