"""What speed costs in quality: next-token distributions against fp32 of the same weights, beside llama.cpp's.

    python -m benchmarks.quality MODEL [--text FILE] [--tokens 4608] [--kv-types f16 int8]

The truth is the file's weights dequantised to fp32 and run in fp32 (activations, attention, cache) by
llama.cpp, an implementation that is not ours. Reported for each engine: mean and 99th percentile of the KL
divergence from the truth in nats, and how often the most likely token is the truth's. Windows of 512 tokens,
of which the first 32 do not count. The default text is the Python language's reference, which Python carries.
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.dequantize import dequantize
from benchmarks.make_model import find_model
from benchmarks.peer_environment import llama_cpp_python
from benchmarks.worker import Worker

WINDOW = 512
TOPICS = ("exceptions", "class", "naming", "try", "objects", "types")
SKIP = 32


class Tally:
    """KL divergences and agreements of one engine, window by window."""

    def __init__(self) -> None:
        self.divergences: list[np.ndarray] = []
        self.agreements: list[np.ndarray] = []

    def add(self, truth: np.ndarray, logits: np.ndarray) -> None:
        """truth: log-probabilities; logits: the engine's; both [tokens, vocab]."""
        own = log_softmax(logits)
        self.divergences.append((np.exp(truth) * (truth - own)).sum(axis=1))
        self.agreements.append(truth.argmax(axis=1) == own.argmax(axis=1))

    def summary(self) -> dict[str, float]:
        divergence = np.concatenate(self.divergences)
        return {
            "tokens": len(divergence),
            "kl_mean": float(divergence.mean()),
            "kl_p99": float(np.quantile(divergence, 0.99)),
            "top1": float(np.concatenate(self.agreements).mean()),
        }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted, dtype=np.float32).sum(axis=1, keepdims=True, dtype=np.float64)
    return shifted - np.log(total).astype(np.float32)


def python_reference() -> str:
    """Prose and code of the Python language's reference, without the markup's rules."""
    topics = pydoc_data.topics.topics
    text = "\n\n".join(topics[name] for name in TOPICS)
    return re.sub(r"[*=-]{4,}", "", text)


def start(model: Path, exact: Path, kv_types: list[str]) -> dict[str, Worker]:
    """A worker an engine and setting, loaded; "truth" first."""
    peer = llama_cpp_python()
    workers = {"truth": Worker(peer, "benchmarks.peer_llama_cpp")}
    workers["truth"].call("load", path=str(exact), threads=2, kv_type="f32", flash=False)
    workers["llama.cpp"] = Worker(peer, "benchmarks.peer_llama_cpp")
    workers["llama.cpp"].call("load", path=str(model), threads=2)
    for kv_type in kv_types:
        worker = workers[f"sillar, KV {kv_type}"] = Worker(sys.executable, "benchmarks.peer_sillar")
        worker.call("load", path=str(model), threads=2, room=2 * WINDOW, kv_type=kv_type)
    for worker in workers.values():
        worker.call("reserve", sizes=[WINDOW])
    return workers


def measure(model: Path, text: str, tokens: int, kv_types: list[str]) -> dict[str, Any]:
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder:
        exact, logits = Path(folder, "f32.gguf"), Path(folder, "logits.npy")
        dequantize(model, exact)
        workers = start(model, exact, kv_types)
        ids = workers["truth"].call("tokenize", text=text)[:tokens]
        for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
            truth = None
            for name, worker in workers.items():
                worker.call("logits", tokens=ids[begin : begin + WINDOW], skip=SKIP, path=str(logits))
                if truth is None:
                    truth = log_softmax(np.load(logits))
                else:
                    tallies.setdefault(name, Tally()).add(truth, np.load(logits))
            machine.log(f"{begin + WINDOW} of {len(ids)} tokens")
        for worker in workers.values():
            worker.close()
    return {name: tally.summary() for name, tally in tallies.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a path, a catalogue name or SHAPE:KIND")
    parser.add_argument("--text", type=Path, help="a UTF-8 text file")
    parser.add_argument("--tokens", type=int, default=9 * WINDOW)
    parser.add_argument("--kv-types", nargs="+", default=["f16", "int8"])
    arguments = parser.parse_args()
    text = arguments.text.read_text() if arguments.text else python_reference()
    model = find_model(arguments.model)
    result = measure(model, text, arguments.tokens, arguments.kv_types)
    print("| engine | tokens | KL mean, nats | KL p99 | top-1 agreement |\n|---|---|---|---|---|")
    for name, row in result.items():
        print(
            f"| {name} | {row['tokens']} | {row['kl_mean']:.5f} | {row['kl_p99']:.4f} | {row['top1']:.2%} |"
        )
    machine.emit("quality", {"model": model.name, "engines": result})


if __name__ == "__main__":
    main()
