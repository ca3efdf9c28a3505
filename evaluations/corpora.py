"""Real documents to ask about, fetched when needed: `python -m evaluations.corpora NAME --out DIR`.

manuals: Debian's reference manual (PDF and HTML, English and Spanish), Python's tutorial, FAQ and HOWTOs.
demo: a part of the manual; where Debian's packages cannot be had, docutils' documentation from PyPI.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_REFERENCE = "usr/share/debian-reference"
_PYTHON = "usr/share/doc/python3.11/html"
_DOCUTILS = "docutils==0.21.2"
_WANTED = re.compile(r"FAQ\.txt|docs/(?:ref|user|howto)/(?:[^/]+/)?[^/]+\.txt")


@dataclass(frozen=True, slots=True)
class Part:
    """Files of a Debian package: those that match `pattern` go to `folder`."""

    package: str
    pattern: str
    folder: str


MANUALS = (
    Part("debian-reference-en", f"{_REFERENCE}/*.en.html", "debian-reference/html"),
    Part("debian-reference-es", f"{_REFERENCE}/*.es.html", "debian-reference/html"),
    Part("debian-reference-en", "*/debian-reference.en.pdf", "debian-reference/pdf"),
    Part("debian-reference-es", "*/debian-reference.es.pdf", "debian-reference/pdf"),
    Part("python3.11-doc", f"{_PYTHON}/tutorial/*.html", "python/tutorial"),
    Part("python3.11-doc", f"{_PYTHON}/faq/*.html", "python/faq"),
    Part("python3.11-doc", f"{_PYTHON}/howto/*.html", "python/howto"),
)
DEMO = (
    Part("debian-reference-en", "*/debian-reference.en.pdf", "english"),
    Part("debian-reference-es", f"{_REFERENCE}/ch0[1-3].es.html", "español"),
)
DEMO_QUESTION = "What does the boot loader do when the system starts?"
DOCUTILS_QUESTION = "How can I include mathematical equations in documents?"


class CorpusError(Exception):
    """A corpus that cannot be fetched here."""


def fetch(parts: Sequence[Part], out: Path) -> None:
    """Copies the files of `parts` below `out`. CorpusError when Debian's packages cannot be had."""
    for part in parts:
        root = fetch_package(part.package)
        found = 0
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.is_file() and not path.is_symlink() and fnmatch.fnmatch(relative, part.pattern):
                target = out / part.folder / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                found += 1
        if not found:
            raise CorpusError(f"{part.package} has no file {part.pattern}.")


def fetch_package(name: str) -> Path:
    """The unpacked package, from the cache or from apt."""
    root = platformdirs.user_cache_path("sillar") / "corpora" / name
    if root.is_dir():
        return root
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CorpusError("Debian's packages need apt-get and dpkg-deb.")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        if _run(["apt-get", "download", name], folder) != 0:
            # Without package lists there is nothing to download from; only root may fetch them.
            _run(["apt-get", "update"], folder)
            if _run(["apt-get", "download", name], folder) != 0:
                raise CorpusError(f"apt-get cannot download {name}.")
        package = next(iter(sorted(Path(folder).glob("*.deb"))))
        unpacked = Path(folder) / "unpacked"
        if _run(["dpkg-deb", "-x", str(package), str(unpacked)], folder) != 0:
            raise CorpusError(f"dpkg-deb cannot unpack {name}.")
        unpacked.rename(root)
    return root


def _run(command: Sequence[str], folder: str) -> int:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=600).returncode


def fetch_docutils(out: Path) -> None:
    """docutils' user and reference documentation, from its source distribution on the package index."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            ":all:",
            _DOCUTILS,
        ]
        if _run(command, folder) != 0:
            raise CorpusError(f"pip cannot download {_DOCUTILS}.")
        archive = next(iter(sorted(Path(folder).glob("*.tar.gz"))))
        with tarfile.open(archive) as tar:
            for member in _documentation(tar):
                source = tar.extractfile(member)
                target = out / "docutils" / Path(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read() if source else b"")


def _documentation(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        path = member.name.partition("/")[2]
        if member.isfile() and _WANTED.fullmatch(path):
            yield member


def fetch_demo(out: Path) -> str:
    """The demo's documents; answers a question about them."""
    try:
        fetch(DEMO, out)
        return DEMO_QUESTION
    except CorpusError as error:
        print(f"{error} Taking {_DOCUTILS}'s documentation from the package index.", file=sys.stderr)
        fetch_docutils(out)
        return DOCUTILS_QUESTION


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("manuals", "demo"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.name == "demo":
            question = fetch_demo(arguments.out)
            (arguments.out / ".question").write_text(question + "\n", encoding="utf-8")
        else:
            fetch(MANUALS, arguments.out)
    except CorpusError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
