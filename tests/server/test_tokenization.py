"""/tokenize, /detokenize and /tokenizer_info: what harnesses ask instead of loading a tokenizer."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import httpx
import pytest

from sillar.engine.request import GenerationParams
from sillar.server.auth import Client, KeyStore
from tests.engine.fake import oracle
from tests.engine.fake_text import BOS, EOS, FakeCodec
from tests.server.live import Live, live_server


def ask(live: Live, path: str, body: dict[str, Any]) -> Any:
    answer = httpx.post(live.url + path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_texts_become_the_tokens_that_completions_see(live: Live) -> None:
    whole = ask(live, "/tokenize", {"prompt": "né"})
    assert whole["tokens"] == FakeCodec().encode("né")
    assert whole["count"] == len(whole["tokens"])
    assert whole["max_model_len"] == live.engine.capacity
    answer = ask(live, "/v1/completions", {"prompt": "né", "max_tokens": 1})
    assert answer["usage"]["prompt_tokens"] == whole["count"]
    plain = ask(live, "/tokenize", {"prompt": "né", "add_special_tokens": False, "return_token_strs": True})
    assert plain["tokens"] == whole["tokens"][1:]
    assert plain["token_strs"] == ["n", "bytes:\\xc3", "bytes:\\xa9"]


def test_a_conversation_has_the_tokens_that_chat_bills(live: Live) -> None:
    messages = [{"role": "user", "content": "hello"}]
    counted = ask(live, "/tokenize", {"messages": messages})["count"]
    answer = ask(live, "/v1/chat/completions", {"messages": messages, "max_tokens": 1})
    assert answer["usage"]["prompt_tokens"] == counted


def test_a_control_token_is_read_only_where_it_stands_alone(live: Live) -> None:
    def tokens(text: str) -> list[int]:
        return list(ask(live, "/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"])

    assert tokens("<eos>") == [EOS]
    assert tokens("so <eos>") == FakeCodec().encode_text("so <eos>")
    assert EOS not in tokens("so <eos>")


def test_tokens_become_text_again(live: Live) -> None:
    tokens = [BOS, *FakeCodec().encode_text("née"), EOS, 4]
    assert ask(live, "/detokenize", {"tokens": tokens}) == {"prompt": "<bos>née<eos>�"}
    assert ask(live, "/detokenize", {"tokens": []}) == {"prompt": ""}


def test_the_tokenizer_is_described(live: Live) -> None:
    info = httpx.get(f"{live.url}/tokenizer_info").json()
    assert (info["bos_token"], info["eos_token"], info["vocab_size"]) == ("<bos>", "<eos>", 101)
    assert httpx.get(f"{live.url}/tokenizer_info?model=other").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {}),
        ("/tokenize", {"prompt": "x", "messages": [{"role": "user", "content": "x"}]}),
        ("/tokenize", {"messages": []}),
        ("/tokenize", {"prompt": "\ud800"}),
        ("/tokenize", {"prompt": "x", "colour": "red"}),
        ("/detokenize", {"tokens": [-1]}),
        ("/detokenize", {"tokens": [2**40]}),
        ("/detokenize", {"tokens": [1] * 1_000_001}),
        ("/detokenize", {"tokens": "x"}),
    ],
)
def test_nonsense_is_refused(live: Live, path: str, body: dict[str, Any]) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(live.url + path, content=json.dumps(body), headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_key_needs_the_scope_to_generate() -> None:
    keys = KeyStore(
        {
            sha256(name.encode()).hexdigest(): Client(name, name, frozenset({name}))
            for name in ("generate", "embed")
        }
    )
    with live_server(keys=keys) as live:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return httpx.post(f"{live.url}/tokenize", json={"prompt": "x"}, headers=headers).status_code

        assert [status(key) for key in ("generate", "embed", "wrong")] == [200, 403, 401]


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_have_an_entry_for_the_token_that_ends(live: Live, stream: bool) -> None:
    prompt = next(
        prompt
        for prompt in ([BOS, a, b] for a in range(6, 40) for b in range(6, 40))
        if oracle(prompt, GenerationParams(max_tokens=1), order=3) == [EOS]
    )
    body = {"prompt": prompt, "max_tokens": 1, "logprobs": 1, "echo": True, "stream": stream}
    answer = httpx.post(f"{live.url}/v1/completions", json=body)
    if stream:
        found = [part for line in answer.text.split("\n\n") if (part := _logprobs(line))]
        tokens = [token for one in found for token in one["tokens"]]
    else:
        [choice] = answer.json()["choices"]
        assert choice["finish_reason"] == "stop"
        tokens = choice["logprobs"]["tokens"]
        assert len(choice["logprobs"]["token_logprobs"]) == len(choice["logprobs"]["text_offset"]) == 4
    assert tokens[0] == "<bos>"
    assert tokens[3] == "<eos>"


def _logprobs(line: str) -> Any:
    data = line.removeprefix("data: ")
    choices = json.loads(data)["choices"] if data.startswith("{") else []
    return choices[0]["logprobs"] if choices else None
