"""Makes smollm2_greedy.json: llama.cpp's greedy continuations of SmolLM2-135M-Instruct Q4_1, and the truth.

    python -m tests.golden.make_llama_cpp MODEL.gguf --peer PYTHON_WITH_LLAMA_CPP

The truth is the same weights dequantised to fp32, run in fp32 throughout along llama.cpp's continuation.
Both engines quantise activations to 8 bits, so each may pick another token than the truth where the truth
is nearly a tie. A test therefore judges a parting of the two engines by the truth's gap, not by theirs:

    {"model_sha256", "llama_cpp", "tokens": 200,
     "peer_worst_gap": nats; the largest gap at which llama.cpp itself left the truth's choice,
     "peer_partings": how many of all steps that were,
     "cases": [{"prompt": [ids], "output": [200 ids, greedy, end-of-sequence not a stop],
                "gaps": [200 integers: the truth's log-probability of its first choice minus that of its
                         second, in 1/1000 nats, at most 9999],
                "close": {"step": [id, lp, id, lp, ...]}}]}

`close` lists the truth's tokens within 1 nat of its best and their log-probabilities (1/1000 nats) for
each step with a gap below 1 nat. Where our token differs from output[step] after an equal prefix, the
parting is a near-tie if both tokens are in close[step] and within BOUND of the best of them; BOUND is the
test's, and should not exceed the order of peer_worst_gap. With the prefix forced to `output`, every step
can be judged so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.dequantize import dequantize
from benchmarks.machine import log
from benchmarks.worker import Worker

HERE = Path(__file__).parent
TOKENS = 200
CLOSE = 1.0
MOST = 32


def prompts() -> list[str]:
    long, code = ((HERE / name).read_text().strip() for name in ("long.txt", "code.txt"))
    texts = (HERE / "prompts.txt").read_text().rstrip("\n").split("\n----\n")
    texts = [text + "\n" if text.endswith("<|im_start|>assistant") else text for text in texts]
    return [text.replace("{long}", long).replace("{code}", code) for text in texts]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def continuations(python: str, model: Path) -> tuple[str, list[dict]]:
    cases = []
    with Worker(python, "benchmarks.peer_llama_cpp") as peer:
        version = peer.call("load", path=str(model), threads=2)["version"]
        peer.call("reserve", sizes=[2048])
        for text in prompts():
            prompt = peer.call("tokenize", text=text, special=True)
            cases.append({"prompt": prompt, "output": peer.call("greedy", prompt=prompt, tokens=TOKENS)})
            log(f"{len(cases)}: {len(prompt)} tokens")
    return version, cases


def add_truth(python: str, model: Path, cases: list[dict]) -> list[float]:
    """Adds `gaps` and `close` to each case; returns the truth's gap of every step where the peer left it."""
    partings: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Worker(python, "benchmarks.peer_llama_cpp") as peer:
        exact, logits = Path(folder, "f32.gguf"), Path(folder, "logits.npy")
        dequantize(model, exact)
        peer.call("load", path=str(exact), threads=2, kv_type="f32", flash=False)
        peer.call("reserve", sizes=[2048])
        for case in cases:
            tokens, skip = case["prompt"] + case["output"][:-1], len(case["prompt"]) - 1
            peer.call("logits", tokens=tokens, skip=skip, path=str(logits))
            log_probs = log_softmax(np.load(logits))
            best = np.argsort(-log_probs, axis=1)[:, :MOST]
            values = np.take_along_axis(log_probs, best, axis=1)
            within = (values > values[:, :1] - CLOSE).sum(axis=1)
            gaps = values[:, 0] - values[:, 1]
            case["gaps"] = [min(9999, int(gap * 1000)) for gap in gaps]
            case["close"] = {
                str(step): np.stack([best[step], values[step] * 1000], axis=1)[: within[step]]
                .astype(int)
                .ravel()
                .tolist()
                for step in np.flatnonzero(gaps < CLOSE)
            }
            rows = np.arange(TOKENS)
            own = log_probs[rows, case["output"]]
            partings += (values[:, 0] - own)[best[:, 0] != case["output"]].tolist()
            log(f"truth: {len(partings)} partings so far, worst {max(partings, default=0):.3f} nats")
    return partings


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", default=sys.executable, help="python with llama-cpp-python")
    arguments = parser.parse_args()
    version, cases = continuations(arguments.peer, arguments.model)
    partings = add_truth(arguments.peer, arguments.model, cases)
    golden = {
        "model_sha256": hashlib.sha256(arguments.model.read_bytes()).hexdigest(),
        "llama_cpp": version,
        "tokens": TOKENS,
        "peer_worst_gap": round(max(partings, default=0.0), 3),
        "peer_partings": len(partings),
        "cases": cases,
    }
    text = json.dumps(golden, separators=(",", ":")).replace('{"prompt"', '\n{"prompt"')
    (HERE / "smollm2_greedy.json").write_text(text + "\n")
    log(f"{len(partings)} partings of {len(cases) * TOKENS} steps, worst {max(partings):.3f} nats")


if __name__ == "__main__":
    main()
