"""The fuzz driver as a child process: a file name in, one line out; dead means a bug was found."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

OUTCOMES = ("ok", "file_format", "unsupported", "out_of_memory")
_OPTIONS = "allocator_may_return_null=0:max_allocation_size_mb=512:hard_rss_limit_mb=2048:detect_leaks=1"


class Driver:
    """Restarted after a crash, so that hypothesis can shrink the file that caused it."""

    def __init__(self, program: Path, isa: str) -> None:
        self._command = [str(program), isa]
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name, "stderr")

    def run(self, data: bytes) -> str:
        """The outcome for a file with these bytes. Raises AssertionError with the sanitizer's report."""
        path = Path(self._folder.name, "model.gguf")
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            self._process = None
            process.wait()
            raise AssertionError(f"the driver died:\n{self._errors.read_text(errors='replace')[-6000:]}")
        return answer.split(" ", 1)[0].strip()

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            assert self._process.wait() == 0, self._errors.read_text(errors="replace")[-6000:]
        self._folder.cleanup()

    def _start(self) -> subprocess.Popen[str]:
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                env={**os.environ, "ASAN_OPTIONS": _OPTIONS, "UBSAN_OPTIONS": "print_stacktrace=1"},
            )
        return self._process
