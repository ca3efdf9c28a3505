"""serve and key: options reach the server, a key that is made is a key that is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillar.cli import serve
from sillar.server.auth import KeyStore
from sillar.server.options import ServerOptions
from tests.cli.test_app import run


def test_serve_hands_its_options_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[ServerOptions] = []

    def server(options: ServerOptions, say: object) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(serve, "run_server", server)
    assert run("serve", str(tmp_path), "--port", "0", "-m", "a", "-m", "b", "--threads", "1") == 0
    options = seen[0]
    assert (options.documents, options.port, options.chat_models) == (tmp_path, 0, ("a", "b"))
    assert options.embedders == ("multilingual-e5-small",)
    assert options.config.engine.threads == 1


def test_serve_follows_on_request_and_only_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("serve", "--watch") == 2
    assert "sillar serve DIR --watch" in capsys.readouterr().err
    seen: list[ServerOptions] = []
    monkeypatch.setattr(serve, "run_server", lambda options, say: seen.append(options) or 0)
    assert run("serve", str(tmp_path), "--watch") == 0
    assert run("serve", str(tmp_path)) == 0
    assert [options.watch for options in seen] == [True, False]


def test_serve_beyond_this_machine_needs_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--host", "0.0.0.0") == 2
    assert "refusing to listen" in capsys.readouterr().err


def test_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("key", 'Ana "A"', "--scope", "generate") == 0
    made = capsys.readouterr()
    (tmp_path / "keys.toml").write_text(made.out)
    secret = made.err.split()[-1]
    client = KeyStore.read(tmp_path / "keys.toml").find(secret)
    assert client is not None
    assert (client.name, client.tenant, client.scopes) == ('Ana "A"', 'Ana "A"', {"generate"})
    assert secret not in made.out


def test_key_with_an_unknown_scope() -> None:
    assert run("key", "ana", "--scope", "everything") == 2


def test_the_reranker_is_served_where_it_was_pulled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[ServerOptions] = []
    monkeypatch.setattr(serve, "run_server", lambda options, say: seen.append(options) or 0)
    assert run("serve") == 0
    model = tmp_path / "r.gguf"
    model.write_bytes(b"GGUF")
    monkeypatch.setenv("SILLAR_MODELS_RERANKER", str(model))
    assert run("serve") == 0
    assert run("serve", "--reranker", "other") == 0
    assert [options.rerankers for options in seen] == [(), (str(model),), ("other",)]
    monkeypatch.setenv("SILLAR_MODELS_RERANKER", "nowhere")
    assert run("serve") != 0
    assert "nowhere" in capsys.readouterr().err


def test_reranked_answers_need_a_reranker(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--rerank-answers") == 2
    assert "sillar pull ms-marco-minilm-l-12-v2" in capsys.readouterr().err
