"""Small frozen settings, read from TOML and the environment. An unknown key is an error.

`~/.config/sillar/config.toml` (or the file that SILLAR_CONFIG names) has one table a part; a variable
SILLAR_<TABLE>_<KEY> overrides one key, and SILLAR_ISA and SILLAR_THREADS are short names. SILLAR_CACHE
moves the cache folder.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from sillar.errors import ConfigError

SHORT_NAMES = {"SILLAR_ISA": "engine.isa", "SILLAR_THREADS": "engine.threads"}
_OTHER_VARIABLES = {"SILLAR_CONFIG", "SILLAR_CACHE", *SHORT_NAMES}
_TOOLS = tuple(f"SILLAR_{tool}_" for tool in ("TEST", "FUZZ", "LLAMA_CPP", "ONNXRUNTIME", "OPENVINO", "VLLM"))


def setting(
    default: Any, *, minimum: float | None = None, maximum: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field with the bounds that the reader enforces."""
    return field(default=default, metadata={"minimum": minimum, "maximum": maximum, "choices": choices})


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How models run. 0 and "" mean: chosen for this machine."""

    threads: int = setting(0, minimum=0, maximum=1024)
    isa: str = setting("", choices=("", "reference", "avx2", "avx512", "amx"))
    kv_type: str = setting("auto", choices=("auto", "f16", "bf16", "int8"))
    kv_tokens: int = setting(0, minimum=0)
    """Tokens that the KV cache holds, over all requests."""
    context: int = setting(0, minimum=0)
    """Longest context of one request; 0: the model's own, as far as memory allows."""
    running: int = setting(32, minimum=1, maximum=1024)
    """Requests that a server computes at once."""
    waiting: int = setting(64, minimum=1, maximum=10_000)
    """Requests that may wait beside them; the others are answered 429."""
    first_token_seconds: float = setting(2.0, minimum=0.1, maximum=86_400)
    """A request whose first token would come later, and later than in twice its own time, is answered 429."""
    kv_spill: str = setting("")
    """Folder in which a server keeps blocks of the KV cache, so that a restart finds its prefixes."""
    kv_spill_bytes: int = setting(4 << 30, minimum=0)
    """What that folder may take, for each model."""


@dataclass(frozen=True, slots=True)
class ModelsConfig:
    """Which models are used where none is named."""

    chat: str = setting("smollm2-135m-instruct")
    embedder: str = setting("multilingual-e5-small")
    reranker: str = setting("ms-marco-minilm-l-12-v2")
    """Used where it has been pulled; "": none."""


@dataclass(frozen=True, slots=True)
class SamplingConfig:
    """How tokens are drawn where the request does not say. Temperature 0 is greedy."""

    temperature: float = setting(0.0, minimum=0, maximum=10)
    top_k: int = setting(0, minimum=0)
    top_p: float = setting(1.0, minimum=0, maximum=1)
    min_p: float = setting(0.0, minimum=0, maximum=1)
    repetition_penalty: float = setting(1.0, minimum=0.1, maximum=10)
    max_tokens: int = setting(512, minimum=1)


@dataclass(frozen=True, slots=True)
class HandOffConfig:
    """Where questions go that a person has to answer. Empty: tickets wait for their CSV export."""

    webhook: str = setting("")
    """The one address that tickets are posted to: https, or http on this machine."""
    secret: str = field(default="", repr=False, metadata={"minimum": None, "maximum": None, "choices": ()})
    """Key of the webhook's HMAC signature."""
    mail: str = setting("")
    """A mailbox that the page offers a mailto link to."""
    retry_seconds: float = setting(5.0, minimum=0.01, maximum=3600)
    """Until the second attempt; each further pause is four times as long, eight attempts in all."""


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """Login through an identity provider (OpenID Connect). Off while `issuer` is empty."""

    issuer: str = setting("")
    client_id: str = setting("")
    client_secret: str = field(
        default="", repr=False, metadata={"minimum": None, "maximum": None, "choices": ()}
    )
    site: str = setting("")
    """The origin under which browsers reach this server: https://answers.example."""
    tenant: str = setting("")
    """Tenant of everybody who logs in, unless a claim names it."""
    tenant_claim: str = setting("")
    scopes: str = setting("documents ask")
    """Scopes of everybody who logs in, separated by spaces."""
    groups_claim: str = setting("groups")
    group_scopes: str = setting("")
    """Further scopes of groups: `support:documents ops:documents,metrics`."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Which pages of the web may be fetched as documents. Empty: none."""

    hosts: str = setting("")
    """Host names, separated by spaces; NAME:PORT for a port that is not the scheme's own."""
    networks: str = setting("")
    """Private addresses that these names may mean: `10.20.0.0/16 127.0.0.1`."""
    seconds: float = setting(60.0, minimum=0.1, maximum=3600)
    """For one page, redirects and all."""
    max_bytes: int = setting(64 << 20, minimum=1)
    """Of one page."""
    proxy: str = setting("")
    """Asks for pages in our place: http://proxy.example:3128. Variables such as HTTPS_PROXY are not read."""


@dataclass(frozen=True, slots=True)
class Config:
    """All tables; whoever builds a part hands it its own table only."""

    engine: EngineConfig = EngineConfig()
    models: ModelsConfig = ModelsConfig()
    sampling: SamplingConfig = SamplingConfig()
    handoff: HandOffConfig = HandOffConfig()
    oidc: OidcConfig = OidcConfig()
    web: WebConfig = WebConfig()


TABLES: dict[str, type[Any]] = {
    "engine": EngineConfig,
    "models": ModelsConfig,
    "sampling": SamplingConfig,
    "handoff": HandOffConfig,
    "oidc": OidcConfig,
    "web": WebConfig,
}


def load_config(environment: Mapping[str, str] | None = None) -> Config:
    """Reads the settings file, if there is one, and the environment, which wins. Raises ConfigError."""
    environment = os.environ if environment is None else environment
    values: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    for source in (_from_file(environment), _from_environment(environment)):
        for origin, table, key, value in source:
            values[table][key] = _checked(origin, table, key, value)
    return Config(**{table: cls(**values[table]) for table, cls in TABLES.items()})


def config_path(environment: Mapping[str, str]) -> Path:
    """The settings file that is read."""
    named = environment.get("SILLAR_CONFIG")
    return Path(named).expanduser() if named else platformdirs.user_config_path("sillar") / "config.toml"


def _from_file(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    path = config_path(environment)
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if "SILLAR_CONFIG" in environment:
            raise ConfigError(f"{path}: no such settings file (named by SILLAR_CONFIG)") from None
        return
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for table, content in tables.items():
        if table not in TABLES or not isinstance(content, dict):
            raise ConfigError(f"{path}: unknown table [{table}]{_nearest(table, TABLES)}")
        for key, value in content.items():
            yield str(path), table, key, value


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, Any]]:
    known = {f"SILLAR_{table}_{key}".upper(): (table, key) for table in TABLES for key in _fields(table)}
    for name, value in sorted(environment.items()):
        if name in SHORT_NAMES:
            table, _, key = SHORT_NAMES[name].partition(".")
            yield name, table, key, value
        elif name in known:
            table, key = known[name]
            yield name, table, key, value
        elif name.startswith("SILLAR_") and name not in _OTHER_VARIABLES and not name.startswith(_TOOLS):
            raise ConfigError(f"unknown variable {name}{_nearest(name, [*known, *_OTHER_VARIABLES])}")


def _fields(table: str) -> dict[str, Any]:
    return {item.name: item for item in fields(TABLES[table])}


def _checked(origin: str, table: str, key: str, value: Any) -> Any:
    """`value` in the key's type and within its bounds; a string from the environment is converted."""
    known = _fields(table)
    if key not in known:
        raise ConfigError(f"{origin}: unknown key {table}.{key}{_nearest(key, known)}")
    where = origin if origin.startswith("SILLAR_") else f"{origin}: {table}.{key}"
    kind, limits = known[key].type, known[key].metadata
    converted = _converted(where, kind, value, from_text=origin.startswith("SILLAR_"))
    if limits["choices"] and converted not in limits["choices"]:
        choices = ", ".join(choice for choice in limits["choices"] if choice)
        raise ConfigError(f"{where}: {converted!r} is not one of {choices}")
    low, high = limits["minimum"], limits["maximum"]
    if (low is not None and not converted >= low) or (high is not None and not converted <= high):
        raise ConfigError(
            f"{where}: {converted} is outside {low:g} to {'any' if high is None else f'{high:g}'}"
        )
    return converted


def _converted(where: str, kind: str, value: Any, *, from_text: bool) -> Any:
    try:
        if kind == "int" and (from_text or type(value) is int):
            return int(value)
        if kind == "float" and (from_text or type(value) in (int, float)):
            return float(value)
    except ValueError:
        pass
    if kind == "str" and isinstance(value, str):
        return value
    raise ConfigError(f"{where}: {value!r} is not {'text' if kind == 'str' else 'a number'}")


def _nearest(name: str, known: Any) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]}?" if matches else f"; there are: {', '.join(sorted(known))}"
