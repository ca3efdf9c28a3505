"""lm-eval's local-completions against a live server: the scores are those of our engine's log-likelihoods."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sillar._native")
pytest.importorskip("lm_eval", reason="needs lm-eval (the extra `dev`)")

from sillar.engine.engine import EngineOptions
from sillar.engine.language_model import LanguageModel
from sillar.engine.native import NativeOptions
from sillar.engine.request import GenerationParams
from tests.evidence.conftest import RealServer

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
FACTS: list[dict[str, Any]] = json.loads((HERE / "lm_eval_tasks" / "facts.json").read_text())
NEAR = 0.02  # nats: what a batch of another shape may change in an answer of a few tokens


@pytest.fixture(scope="module")
def report(real_server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What lm-eval says, without any network but to the server."""
    cache = str(tmp_path_factory.mktemp("datasets"))
    command = [sys.executable, str(HERE / "run_lm_eval.py"), real_server.url, real_server.chat, cache]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def engine(chat_model: Path) -> AsyncIterator[LanguageModel]:
    """One request at a time, without sharing or drafts."""
    plain = EngineOptions(max_running=1, lookup=False, prefix_cache=False)
    async with LanguageModel.load(
        chat_model, NativeOptions(kv_tokens=1024, context=1024), options=plain
    ) as model:
        yield model


async def score(model: LanguageModel, before: list[int], tokens: list[int]) -> tuple[float, bool]:
    """Log-likelihood of tokens after others, and whether each is the likeliest."""
    params = GenerationParams(max_tokens=0, prompt_logprobs=1)
    [event] = [event async for event in model.complete([*before, *tokens], params)]
    assert event.prompt_scores is not None
    scores = event.prompt_scores[len(before) :]
    greedy = all(one.top[0][0] == one.token for one in scores)
    return sum(one.logprob or 0.0 for one in scores), greedy


async def after(model: LanguageModel, text: str, answer: str) -> tuple[float, bool]:
    begin, whole = model.codec.encode_text(text), model.codec.encode_text(f"{text} {answer}")
    return await score(model, begin, whole[len(begin) :])


def samples(report: dict[str, Any], task: str) -> list[list[Any]]:
    """The answers for each fact, in the facts' order."""
    found = {sample["doc"]["text"]: sample["resps"] for sample in report["samples"][f"sillar_{task}"]}
    return [found[fact["text"]] for fact in FACTS]


async def test_choices_are_scored_as_by_the_engine(report: dict[str, Any], engine: LanguageModel) -> None:
    right = right_by_length = 0
    for fact, answers in zip(FACTS, samples(report, "choice"), strict=True):
        own = [await after(engine, fact["text"], choice) for choice in fact["choices"]]
        for (logprob, _), [[theirs, _]] in zip(own, answers, strict=True):
            assert theirs == pytest.approx(logprob, abs=NEAR)
        each = [logprob for logprob, _ in own]
        right += max(range(4), key=each.__getitem__) == fact["answer"]
        lengths = [len(choice) for choice in fact["choices"]]
        right_by_length += max(range(4), key=lambda i: each[i] / lengths[i]) == fact["answer"]
    result = report["results"]["sillar_choice"]
    assert result["acc,none"] == right / len(FACTS)
    assert result["acc_norm,none"] == right_by_length / len(FACTS)
    assert right >= 9  # a model that is read wrongly guesses 3


async def test_a_continuation_s_likelihood_and_greediness(
    report: dict[str, Any], engine: LanguageModel
) -> None:
    own = [await after(engine, fact["text"], fact["choices"][fact["answer"]]) for fact in FACTS]
    for (logprob, greedy), [[[theirs, said]]] in zip(own, samples(report, "last_word"), strict=True):
        assert theirs == pytest.approx(logprob, abs=NEAR)
        assert said == greedy
    result = report["results"]["sillar_last_word"]
    assert result["acc,none"] == sum(greedy for _, greedy in own) / len(FACTS)
    perplexity = math.exp(-sum(logprob for logprob, _ in own) / len(FACTS))
    assert result["perplexity,none"] == pytest.approx(perplexity, rel=NEAR)


async def test_whole_sentences_begin_with_the_begin_token(
    report: dict[str, Any], engine: LanguageModel
) -> None:
    texts = [f"{fact['text']} {fact['choices'][fact['answer']]}." for fact in FACTS]
    [begin] = [t for t, name in engine.codec.control_tokens.items() if name == engine.codec.bos_token]
    own = [(await score(engine, [begin], engine.codec.encode_text(text)))[0] for text in texts]
    for logprob, [[theirs]] in zip(own, samples(report, "perplexity"), strict=True):
        assert theirs == pytest.approx(logprob, abs=5 * NEAR)
    size = sum(len(text.encode()) for text in texts)
    bits = -sum(own) / size / math.log(2)
    assert report["results"]["sillar_perplexity"]["bits_per_byte,none"] == pytest.approx(bits, rel=NEAR)


async def test_what_is_generated_is_the_engine_s(report: dict[str, Any], engine: LanguageModel) -> None:
    right = 0
    params = GenerationParams(max_tokens=6, stop=(".", ",", "\n"))
    for fact, [[theirs]] in zip(FACTS, samples(report, "continuation"), strict=True):
        prompt = engine.codec.encode_text(fact["text"])
        text = "".join([event.text async for event in engine.complete(prompt, params)])
        assert theirs == text
        right += text.strip() == fact["choices"][fact["answer"]]
    assert report["results"]["sillar_continuation"]["exact_match,stripped"] == right / len(FACTS)
