"""Keys are listed, made and revoked by an administrator's key of the same tenant, and by nobody else."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sillar.server.auth import KeyStore, new_key, parse_keys
from sillar.server.key_file import KeyFile
from tests.server.live import Live, live_server

SECRETS = {name: new_key() for name in ("ana", "aux", "eve", "shop")}
FILE = f"""# who may do what
[[key]]
name = "ana"
sha256 = "{SECRETS["ana"][1]}"   # the boss
tenant = "acme"
scopes = ["admin", "documents", "ask"]
requests_per_minute = 6000

[[key]]
name = "aux"
sha256 = "{SECRETS["aux"][1]}"
tenant = "acme"
scopes = ["ask", "documents", "generate", "embed", "metrics"]
created = 2025-05-01

[[key]]
name = "eve"
sha256 = "{SECRETS["eve"][1]}"
tenant = "others"

[[key]]
name = "shop"
sha256 = "{SECRETS["shop"][1]}"
tenant = "acme"
origins = ["https://shop.example"]
"""
ASKER = {"name": "leo", "scopes": ["ask"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, Path]]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "docs").mkdir()
    path = folder / "keys.toml"
    keys = KeyStore(parse_keys(path, FILE))
    with live_server(keys=keys, documents=folder / "docs") as live:
        live.state.key_file = KeyFile(path, keys)
        yield live, path


@pytest.fixture
def file(server: tuple[Live, Path]) -> Path:
    live, path = server
    path.write_text(FILE)
    path.chmod(0o640)
    assert live.state.keys is not None
    live.state.keys.replace(parse_keys(path, FILE))
    live.state.keys.used.clear()
    return path


@pytest.fixture
def live(server: tuple[Live, Path], file: Path) -> Live:
    return server[0]


def call(live: Live, method: str, path: str, key: str, **options: Any) -> httpx.Response:
    secret = SECRETS[key][0] if key in SECRETS else key
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.request(method, f"{live.url}{path}", headers=headers, **options)


def listed(live: Live, key: str = "ana") -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in call(live, "GET", "/v1/keys", key).json()["data"]}


def test_an_administrator_sees_its_tenant_s_keys_and_no_secret(live: Live) -> None:
    call(live, "GET", "/v1/models", "aux")
    answer = call(live, "GET", "/v1/keys", "ana")
    rows = {row["name"]: row for row in answer.json()["data"]}
    assert set(rows) == {"ana", "aux", "shop"}
    assert rows["ana"]["current"]
    assert not rows["aux"]["current"]
    assert (rows["aux"]["created"], rows["ana"]["created"]) == ("2025-05-01", None)
    assert rows["aux"]["last_used"] > 1_700_000_000
    assert rows["shop"]["last_used"] is None
    assert rows["shop"]["origins"] == ["https://shop.example"]
    assert answer.headers["cache-control"] == "no-store"
    for secret, digest in SECRETS.values():
        assert secret not in answer.text
        assert digest not in answer.text


def test_a_key_is_made_works_at_once_and_leaves_the_file_as_it_was(live: Live, file: Path) -> None:
    made = call(live, "POST", "/v1/keys", "ana", json=ASKER)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    row = made.json()
    assert (row["name"], row["tenant"], row["scopes"]) == ("acme/leo", "acme", ["ask"])
    assert row["requests_per_minute"] == 6000  # no way around its maker's limit
    assert call(live, "GET", "/v1/models", row["key"]).status_code == 200
    assert call(live, "GET", "/v1/documents", row["key"]).status_code == 403
    text = file.read_text()
    assert text.startswith(FILE)
    assert row["key"] not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert parse_keys(file, text).keys() == live.state.keys.clients.keys()  # type: ignore[union-attr]
    assert "key" not in listed(live)["acme/leo"]
    assert call(live, "POST", "/v1/keys", "ana", json=ASKER).status_code == 400  # the name is taken


def test_a_revoked_key_opens_nothing_from_then_on(live: Live, file: Path) -> None:
    assert call(live, "GET", "/v1/models", "aux").status_code == 200
    identity = listed(live)["aux"]["id"]
    assert call(live, "DELETE", f"/v1/keys/{identity}", "ana").status_code == 204
    assert call(live, "GET", "/v1/models", "aux").status_code == 401
    assert SECRETS["aux"][1] not in file.read_text()
    assert "# the boss" in file.read_text()
    assert call(live, "DELETE", f"/v1/keys/{identity}", "ana").status_code == 400
    own = listed(live)["ana"]["id"]
    refused = call(live, "DELETE", f"/v1/keys/{own}", "ana")
    assert refused.status_code == 400
    assert "another administrator" in refused.text


@pytest.mark.parametrize("key", ["aux", "shop", "wrong", ""])
def test_nobody_else_sees_makes_or_revokes_keys(live: Live, file: Path, key: str) -> None:
    identity = listed(live)["aux"]["id"]
    for method, path, options in (
        ("GET", "/v1/keys", {}),
        ("POST", "/v1/keys", {"json": ASKER}),
        ("DELETE", f"/v1/keys/{identity}", {}),
        ("PUT", "/v1/answering", {"json": {"model": "fake"}}),
    ):
        answer = call(live, method, path, key, **options)
        assert answer.status_code == (403 if key in SECRETS else 401), path
        assert "sha256" not in answer.text
        assert identity not in answer.text
    assert file.read_text() == FILE


def test_tenants_do_not_reach_each_other_s_keys(live: Live, file: Path) -> None:
    assert set(listed(live, "eve")) == {"eve"}
    for victim in ("aux", "shop"):
        identity = listed(live)[victim]["id"]
        refused = call(live, "DELETE", f"/v1/keys/{identity}", "eve")
        unknown = call(live, "DELETE", f"/v1/keys/{'0' * 16}", "eve")
        assert (refused.status_code, refused.text) == (unknown.status_code, unknown.text)
    made = call(live, "POST", "/v1/keys", "eve", json={"name": "ana", "scopes": ["ask"]}).json()
    assert (made["name"], made["tenant"]) == ("others/ana", "others")  # nobody's readers name that
    assert (
        call(live, "POST", "/v1/keys", "eve", json={"name": "acme/x", "scopes": ["ask"]}).status_code == 400
    )
    assert call(live, "POST", "/v1/keys", "eve", json={**ASKER, "tenant": "acme"}).status_code == 400
    assert set(listed(live)) == {"ana", "aux", "shop"}
    entry = f'\n[[key]]\nname = "x"\nsha256 = "{new_key()[1]}"\ntenant = "others/sub"\n'
    file.write_text(file.read_text() + entry)  # an operator's tenant whose name begins like another's
    refused = call(live, "POST", "/v1/keys", "eve", json={"name": "sub", "scopes": ["ask"]})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x", "scopes": ["metrics"]}, 403),  # its maker does not have that one
        ({"name": "x", "scopes": []}, 400),
        ({"name": "x", "scopes": ["root"]}, 400),
        ({"name": "", "scopes": ["ask"]}, 400),
        ({"name": "a\nscopes = 1", "scopes": ["ask"]}, 400),
        ({"name": "x", "scopes": ["ask", "documents"], "origins": ["https://shop.example"]}, 400),
        ({"name": "x", "scopes": ["ask"], "origins": ["https://*.example"]}, 400),
    ],
)
def test_what_a_key_cannot_be_is_refused(live: Live, file: Path, body: dict[str, Any], status: int) -> None:
    assert call(live, "POST", "/v1/keys", "ana", json=body).status_code == status
    assert file.read_text() == FILE


def test_hostile_names_stay_names(live: Live, file: Path) -> None:
    name = 'x"]\\ [[key]] <img src=x onerror=alert(1)> = \u202e'
    assert call(live, "POST", "/v1/keys", "ana", json={"name": name, "scopes": ["ask"]}).status_code == 201
    assert len(parse_keys(file, file.read_text())) == 5
    assert f"acme/{name}" in listed(live)


def test_a_key_for_a_site_is_a_widget_s(live: Live) -> None:
    body = {"name": "site", "scopes": ["ask"], "origins": ["https://new.example"]}
    made = call(live, "POST", "/v1/keys", "ana", json=body).json()
    assert made["concurrent"] == 4  # a widget's limits
    headers = {"Authorization": f"Bearer {made['key']}", "Origin": "https://elsewhere.example"}
    question = {"question": "Is it?"}
    assert httpx.post(f"{live.url}/v1/ask", json=question, headers=headers).status_code == 403
    headers["Origin"] = "https://new.example"
    assert httpx.post(f"{live.url}/v1/ask", json=question, headers=headers).status_code == 200


def test_a_file_that_others_changed_is_gone_on_with_and_one_that_is_broken_stays(
    live: Live, file: Path
) -> None:
    late, digest = new_key()
    file.write_text(f'{FILE}\n[[key]]\nname = "late"\nsha256 = "{digest}"\ntenant = "acme"\n')
    assert call(live, "POST", "/v1/keys", "ana", json=ASKER).status_code == 201
    assert call(live, "GET", "/v1/models", late).status_code == 200
    file.write_text(broken := "[[key]\n")
    refused = call(live, "POST", "/v1/keys", "ana", json={"name": "x", "scopes": ["ask"]})
    assert refused.status_code == 409
    assert str(file.parent) not in refused.text
    assert file.read_text() == broken
    assert call(live, "GET", "/v1/models", "ana").status_code == 200


def test_without_a_file_there_is_nothing_to_manage(tmp_path: Path) -> None:
    with live_server() as live:
        assert call(live, "GET", "/v1/keys", "").json() == {
            "data": [],
            "managed": False,
            "scopes": [],
            "problem": "",
        }
        assert call(live, "POST", "/v1/keys", "", json=ASKER).status_code == 409
        assert call(live, "DELETE", f"/v1/keys/{'0' * 16}", "").status_code == 409


def test_the_model_that_answers_is_each_tenant_s_own_choice(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILLAR_CACHE", str(tmp_path / "cache"))
    live.state.language_models["other"] = live.state.language_models["fake"]
    assert call(live, "PUT", "/v1/answering", "ana", json={"model": "other"}).status_code == 200
    assert live.state.answering == {"acme": "other"}
    assert call(live, "PUT", "/v1/answering", "ana", json={"model": "nothing"}).status_code == 404
    assert call(live, "POST", "/v1/ask", "aux", json={"question": "Is it?"}).status_code == 200
    machine = call(live, "GET", "/v1/machine", "aux").json()
    assert [model["use"] for model in machine["models"]] == ["text", "text", "search", "rerank"]
    assert machine["free_bytes"] > 0
    assert machine["cached"] == []
    assert call(live, "GET", "/v1/machine", "ana").status_code == 403  # it lacks the scope metrics


def test_what_is_written_into_the_file_by_hand_counts_once_it_has_settled(live: Live, file: Path) -> None:
    keys = live.state.key_file
    assert keys is not None
    secret, digest = new_key()
    assert [keys.refresh() for _ in range(2)] == ["", ""]  # it is what the server goes by
    without_aux = FILE.replace(SECRETS["aux"][1], digest)
    file.write_text(without_aux)
    assert keys.refresh() == ""
    assert call(live, "GET", "/v1/models", "aux").status_code == 200  # maybe half written
    assert keys.refresh() == f"{file}: 4 keys, 1 new, 1 revoked."
    assert call(live, "GET", "/v1/models", "aux").status_code == 401
    assert call(live, "GET", "/v1/models", secret).status_code == 200


@pytest.mark.parametrize("broken", ["[[key]]\nname = 'x", "", "[[key]]\nname = 'x'\n", None])
def test_a_broken_file_leaves_the_keys_of_before_and_says_so(
    live: Live, file: Path, broken: str | None
) -> None:
    keys = live.state.key_file
    assert keys is not None
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    told = [keys.refresh() for _ in range(3)]
    assert [bool(line) for line in told] == [False, True, False]
    assert call(live, "GET", "/v1/models", "aux").status_code == 200
    (problem,) = call(live, "GET", "/ready", "aux").json()["problems"]
    assert str(file) in told[1]
    assert str(file) not in problem
    assert call(live, "GET", "/v1/keys", "ana").json()["problem"] == problem
    file.write_text(FILE)
    assert "0 new, 0 revoked" in [keys.refresh() for _ in range(2)][1]
    assert call(live, "GET", "/ready", "aux").json()["problems"] == []
