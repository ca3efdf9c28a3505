"""Embedding passages: `python -m benchmarks.embedding SET.json... [--model FILE]`, the last line is JSON.

For each question set (see evaluations/sets.py): its passages' tokens, tokenisation alone, the encoder alone,
and the embedder as a caller sees it. Every repeat has the tokenizer's caches cold.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from evaluations.sets import load_set
from sillar import hub
from sillar.engine.embedder import BATCH_TOKENS, Embedder, EmbedderSpec, batches
from sillar.engine.native import NativeEncoder, NativeOptions, load_encoder, read_metadata
from sillar.tokenizer import Tokenizer

PREFIX = "passage: "


def rate(count: int, call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Passages a second."""
    return machine.summarize([count / s for s in machine.measure(call, repeats=repeats, warmup=1)])


def evaluate(
    texts: list[str], encoder: NativeEncoder, metadata: dict[str, Any], repeats: int
) -> dict[str, Any]:
    """The figures of one set of passages."""
    fresh = lambda: Tokenizer.from_metadata(metadata)  # noqa: E731
    tokenizers = [fresh() for _ in range(2 * repeats + 2)]
    encode = fresh().encode
    tokens = [np.array(encode(PREFIX + text)[: encoder.max_tokens], np.int32) for text in texts]
    groups = [[tokens[i] for i in batch] for batch in batches([len(t) for t in tokens], BATCH_TOKENS)]

    def tokenise() -> None:
        tokenizer = tokenizers.pop()
        for text in texts:
            tokenizer.encode(PREFIX + text)

    def embed() -> None:
        spec = EmbedderSpec("e", "e", {"passage": PREFIX})
        embedder = Embedder(encoder, tokenizers.pop().encode, spec)
        asyncio.run(embedder.embed(texts, "passage"))

    return {
        "passages": len(texts),
        "words": sum(len(text.split()) for text in texts) / len(texts),
        "tokens": sum(map(len, tokens)) / len(texts),
        "tokenised/s": rate(len(texts), tokenise, repeats),
        "encoded/s": rate(len(texts), lambda: [encoder.encode(group) for group in groups], repeats),
        "embedded/s": rate(len(texts), embed, repeats),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--isa", default="")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    model = args.model or hub.resolve(hub.DEFAULT_EMBEDDER)
    encoder = load_encoder(model, NativeOptions(threads=args.threads, isa=args.isa))
    result: dict[str, Any] = {"threads": args.threads}
    for path in args.sets:
        texts = list(load_set(path).passages.values())
        result[path.stem] = evaluate(texts, encoder, read_metadata(model), args.repeats)
        machine.log(f"{path.stem}: {machine.rounded(result[path.stem], 3)}")
    machine.emit("embedding", result)


if __name__ == "__main__":
    main()
