"""OpenTelemetry traces, where they are asked for: a request's span with its queue, prefill and decode inside.

Names and attributes follow the semantic conventions for HTTP servers and generative AI. No text is recorded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from starlette.datastructures import Headers
from starlette.types import Scope

from sillar.engine.request import Usage
from sillar.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing(Protocol):
    """What the server tells about its work. Times are those of time.perf_counter()."""

    def request(self, scope: Scope) -> Any:
        """Around one request: a context manager that gives a place for its status, `{"status": 200}`."""
        ...

    def generation(
        self, model: str, usage: Usage, reason: str | None, times: tuple[float, float, float]
    ) -> None:
        """One choice is whole: `times` are those of its arrival, its first text and its end."""
        ...

    def close(self) -> None:
        """Sends what has not been sent yet."""
        ...


class NoTracing:
    """Nothing is told to anyone."""

    @contextmanager
    def request(self, scope: Scope) -> Iterator[dict[str, Any]]:
        yield {}

    def generation(
        self, model: str, usage: Usage, reason: str | None, times: tuple[float, float, float]
    ) -> None: ...

    def close(self) -> None: ...


class OpenTelemetryTracing:
    """Spans through OpenTelemetry's SDK; a caller's `traceparent` is their parent."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415  an extra

        self._provider = provider
        self._extract = propagate.extract
        self._trace = trace
        self._tracer = provider.get_tracer("sillar")

    @contextmanager
    def request(self, scope: Scope) -> Iterator[dict[str, Any]]:
        parent = self._extract(dict(Headers(scope=scope)))
        method = scope["method"]
        note: dict[str, Any] = {}
        with self._tracer.start_as_current_span(
            method, parent, self._trace.SpanKind.SERVER, {"http.request.method": method}
        ) as span:
            try:
                yield note
            finally:
                # The route's pattern, not the path: paths hold names and numbers of documents.
                route = getattr(scope.get("route"), "path", "other")
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
                status = note.get("status", 0)
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(self._trace.StatusCode.ERROR)

    def generation(
        self, model: str, usage: Usage, reason: str | None, times: tuple[float, float, float]
    ) -> None:
        arrived, first, end = times
        admitted = min(max(usage.admitted, arrived), first) if usage.admitted else first
        to_epoch = time.time() - time.perf_counter()
        shared = {"gen_ai.request.model": model}
        counted = {
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "sillar.cached_tokens": usage.cached_tokens,
        }
        drawn = {
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.response.finish_reasons": [reason or ""],
            "sillar.accepted_tokens": usage.accepted_tokens,
        }
        spans: tuple[tuple[str, float, float, dict[str, Any]], ...] = (
            ("queue", arrived, admitted, {}),
            ("prefill", admitted, first, counted),
            ("decode", first, end, drawn),
        )
        for name, begin, until, attributes in spans:
            start, stop = (int((moment + to_epoch) * 1e9) for moment in (begin, until))
            span = self._tracer.start_span(name, start_time=start, attributes={**shared, **attributes})
            span.end(stop)

    def close(self) -> None:
        self._provider.shutdown()


def open_tracing() -> OpenTelemetryTracing:
    """Spans go where OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT, ...).

    Raises ConfigError where the extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise ConfigError("traces need OpenTelemetry: pip install 'sillar[otel]'") from None
    # OTEL_SERVICE_NAME wins over the name given here.
    provider = TracerProvider(resource=Resource({"service.name": "sillar"}).merge(Resource.create()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetryTracing(provider)
