"""What git holds is text, and small: no weights, no binaries; pictures only under docs/."""

from __future__ import annotations

from pathlib import Path

from scripts.checks import Findings, repository_files

MAX_BYTES = 200_000
WEIGHTS = {".gguf", ".safetensors", ".bin", ".onnx", ".pt", ".pth", ".npz", ".npy", ".so", ".o", ".whl"}
PICTURES = {".png"}


def check(root: Path) -> Findings:
    findings = Findings()
    files = repository_files(root)
    for path in files:
        content = (root / path).read_bytes()
        if len(content) > MAX_BYTES:
            findings.problems.append(f"{path}: {len(content)} bytes, limit {MAX_BYTES}")
        if path.suffix in WEIGHTS:
            findings.problems.append(f"{path}: weights and binaries do not belong in git")
        elif b"\0" in content and not (path.suffix in PICTURES and path.parts[0] == "docs"):
            findings.problems.append(f"{path}: a binary file")
    findings.figures.append(f"{len(files)} files")
    return findings
