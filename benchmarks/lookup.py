"""What prompt lookup brings: decode speed with it over without, through the whole engine, same answers.

    python -m benchmarks.lookup [MODEL] [--tokens 128] [--repeats 3]

Kinds of answers: `quote` goes on with a passage that the prompt has and begins anew, to its end (`quoted`:
how like the passage's its words are), `asked` is told to repeat one, `free` tells a story (greedy), `sampled`
the same at temperature 0.8, `batch` is eight sampled ones at once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from benchmarks import machine
from benchmarks.make_model import find_model
from benchmarks.quality import python_reference
from sillar import hub
from sillar.engine.language_model import LanguageModel
from sillar.engine.native import NativeOptions
from sillar.engine.request import GenerationParams, SamplingParams, Usage

PASSAGES = 4
SUBJECTS = ("a lighthouse", "two rival bakers", "a lost letter", "the first winter on an island")


@dataclass(frozen=True, slots=True)
class Kind:
    """Prompts that are asked one after the other, or all at once."""

    prompts: tuple[str, ...]
    temperature: float = 0.0
    together: bool = False
    quoted: tuple[str, ...] = ()
    """What each prompt, a plain one then, should be continued with."""


@dataclass(slots=True)
class Run:
    """What one pass over a kind's prompts took: seconds after each first token, tokens after it, drafts."""

    seconds: float = 0.0
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    text: str = ""


def kinds() -> dict[str, Kind]:
    paragraphs = [" ".join(p.split()) for p in python_reference().split("\n\n")]
    passages = [p for p in paragraphs if 400 < len(p) < 700 and p[0].isupper()][:PASSAGES]
    asked = tuple(f"{passage}\n\nRepeat the text above word for word." for passage in passages)
    begun = tuple(f"{passage}\n\n{' '.join(passage.split()[:8])}" for passage in passages)
    rests = tuple(" ".join(passage.split()[8:]) for passage in passages)
    stories = tuple(f"Tell a story about {subject}." for subject in SUBJECTS)
    return {
        "quote": Kind(begun, quoted=rests),
        "asked": Kind(asked),
        "free": Kind(stories),
        "sampled": Kind(stories, temperature=0.8),
        "batch": Kind(stories * 2, temperature=0.8, together=True),
    }


async def ask(model: LanguageModel, prompt: str, params: GenerationParams, run: Run, plain: bool) -> None:
    first, usage = 0.0, Usage()
    chat = [{"role": "user", "content": prompt}]
    async for event in model.complete(prompt, params) if plain else model.chat(chat, params):
        first = first or time.perf_counter()
        run.text += event.text
        usage = event.usage or usage
    run.seconds += time.perf_counter() - first
    run.tokens += usage.completion_tokens - 1
    run.drafted += usage.drafted_tokens
    run.accepted += usage.accepted_tokens


async def once(model: LanguageModel, kind: Kind, tokens: int, lookup: bool) -> list[Run]:
    """A run for each prompt."""
    runs = [Run() for _ in kind.prompts]
    calls = []
    for number, (prompt, run) in enumerate(zip(kind.prompts, runs, strict=True)):
        sampling = SamplingParams(temperature=kind.temperature, seed=number)
        most = model.count_tokens(kind.quoted[number]) if kind.quoted else tokens
        params = GenerationParams(sampling=sampling, max_tokens=most, ignore_eos=True, lookup=lookup)
        call = ask(model, prompt, params, run, bool(kind.quoted))
        if kind.together:
            calls.append(call)
        else:
            await call
    await asyncio.gather(*calls)
    return runs


async def measure(model: LanguageModel, kind: Kind, tokens: int, repeats: int) -> dict[str, Any]:
    """Speeds of passes with and without in turn; the ratio is the median of neighbouring passes'."""
    speeds: dict[bool, list[float]] = {False: [], True: []}  # without lookup, with it
    texts: set[str] = set()
    with_lookup: list[Run] = []
    for repeat in range(repeats + 1):  # the first does not count: it computes the prompts
        for lookup in (False, True) if repeat % 2 else (True, False):
            runs = await once(model, kind, tokens, lookup)
            texts.add("\0".join(run.text for run in runs))
            with_lookup = runs if lookup else with_lookup
            if repeat:
                speeds[lookup].append(sum(r.tokens for r in runs) / sum(r.seconds for r in runs))
    drafted, accepted = sum(r.drafted for r in with_lookup), sum(r.accepted for r in with_lookup)
    return {
        "off_tokens_per_s": statistics.median(speeds[False]),
        "on_tokens_per_s": statistics.median(speeds[True]),
        "ratio": statistics.median(on / off for off, on in zip(*speeds.values(), strict=True)),
        "drafted": drafted,
        "accepted": accepted,
        "tokens": sum(r.tokens for r in with_lookup),
        "same_text": len(texts) == 1,
        "quoted": quoted_share(with_lookup, kind.quoted),
    }


def quoted_share(runs: list[Run], passages: tuple[str, ...]) -> float | None:
    """Mean similarity of the answers' words to the passages' (difflib's ratio)."""
    pairs = zip(runs, passages, strict=False)
    shares = [SequenceMatcher(None, run.text.split(), words.split()).ratio() for run, words in pairs]
    return statistics.mean(shares) if shares else None


async def compare(model: LanguageModel, names: list[str], tokens: int, repeats: int) -> dict[str, Any]:
    results = {}
    async with model:
        for name in names:
            results[name] = result = await measure(model, kinds()[name], tokens, repeats)
            speed = f"{result['off_tokens_per_s']:.0f} -> {result['on_tokens_per_s']:.0f} tokens/s a stream"
            machine.log(
                f"{name}: {speed}, "
                f"ratio {result['ratio']:.2f}, {result['accepted']} of {result['drafted']} drafted right"
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default=hub.DEFAULT_CHAT_MODEL, help="a path or catalogue name")
    parser.add_argument("--kinds", nargs="+", choices=list(kinds()), default=list(kinds()))
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    path = find_model(arguments.model)
    model = LanguageModel.load(path, NativeOptions(kv_tokens=16384))
    results = asyncio.run(compare(model, arguments.kinds, arguments.tokens, arguments.repeats))
    machine.emit("lookup", {"model": path.name, "kinds": results})


if __name__ == "__main__":
    main()
