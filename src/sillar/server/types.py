"""What the generation routes take in common, with bounds on every field; and what they refuse, and why."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_TOKENS = 1_000_000
MAX_TEXT = 4_000_000
MAX_CHOICES = 16
MAX_TOP_LOGPROBS = 20
MAX_SCORES = 1_000_000
"""Log-probabilities in one answer, alternatives included: each takes about 200 bytes until it is sent."""

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Stop = Annotated[str, Field(min_length=1, max_length=256)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Bias = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]

IGNORED = {
    "user": "not needed: the API key names the tenant",
    "metadata": "nothing is stored (at /v1/responses it comes back)",
    "store": "nothing is stored (at /v1/responses it has its meaning)",
    "safety_identifier": "not needed",
    "service_tier": "there is one",
    "prompt_cache_key": "prefixes are found by their content",
}
"""Accepted and without effect on the answer."""


class ApiModel(BaseModel):
    """A request body: unknown and refused fields are errors, never dropped in silence."""

    model_config = ConfigDict(extra="forbid", str_max_length=MAX_TEXT)

    @model_validator(mode="before")
    @classmethod
    def _screen(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        reasons = cls.refusals()
        for name in data.keys() & reasons.keys():
            if data[name] is not None:
                raise ValueError(f"'{name}' is not supported here: {reasons[name]}")
        dropped = (IGNORED.keys() - cls.model_fields.keys()) | reasons.keys()
        return {key: value for key, value in data.items() if key not in dropped}

    @classmethod
    def refusals(cls) -> dict[str, str]:
        """Fields of OpenAI's that this route refuses -> why."""
        return {}


class StreamOptions(BaseModel):
    """How a stream ends."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GenerationRequest(ApiModel):
    """Fields of chat and plain completions alike."""

    model: Annotated[str | None, Field(max_length=200, description="Name of a loaded model.")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[int | None, Field(ge=0, le=100_000, description="Ours. 0: off.")] = None
    min_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False, description="Ours.")] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2, allow_inf_nan=False)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2, allow_inf_nan=False)] = None
    repetition_penalty: Annotated[
        float | None, Field(ge=0.1, le=10, allow_inf_nan=False, description="Ours. 1: off.")
    ] = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**63)] = None
    stop: Annotated[Stop | list[Stop] | None, Field(max_length=16)] = None
    n: Annotated[int | None, Field(ge=1, le=MAX_CHOICES)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logit_bias: Annotated[dict[str, Bias] | None, Field(max_length=1024)] = None
    max_tokens: Annotated[int | None, Field(ge=0, le=MAX_TOKENS)] = None
    min_tokens: Annotated[int | None, Field(ge=0, le=MAX_TOKENS, description="Ours.")] = None
    ignore_eos: Annotated[bool | None, Field(description="Ours: for benchmarks.")] = None
    priority: Annotated[
        int | None, Field(ge=-10, le=0, description="Ours: below 0 gives way to other requests.")
    ] = None
