"""OpenTelemetry: a request's span holds its queue, prefill and decode, in that order, and no text."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sillar.engine.request import Usage
from sillar.errors import ConfigError
from sillar.server.options import ServerOptions
from sillar.server.run import run
from sillar.server.tracing import OpenTelemetryTracing, open_tracing
from tests.server.live import Live, live_server
from tests.server.target import until

BODY = {"messages": [{"role": "user", "content": "my secret"}], "max_tokens": 8, "ignore_eos": True}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def server(exporter: InMemorySpanExporter) -> Iterator[Live]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with live_server(tracing=OpenTelemetryTracing(provider)) as live:
        yield live


def spans(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """By name; the request's own ends a moment after its client has the answer."""

    def ended() -> bool:
        return any(span.name.startswith("POST") for span in exporter.get_finished_spans())

    assert until(ended)
    found = {span.name: span for span in exporter.get_finished_spans()}
    exporter.clear()
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_s_spans(server: Live, exporter: InMemorySpanExporter, stream: bool) -> None:
    exporter.clear()
    answer = httpx.post(
        f"{server.url}/v1/chat/completions", json={**BODY, "stream": stream}, headers={"traceparent": CALLER}
    )
    assert answer.status_code == 200
    found = spans(exporter)
    root = found["POST /v1/chat/completions"]
    queue, prefill, decode = (found[name] for name in ("queue", "prefill", "decode"))
    assert root.parent is not None
    assert f"{root.parent.trace_id:032x}" == CALLER.split("-")[1]
    assert root.context is not None
    for span in (queue, prefill, decode):
        assert span.parent is not None
        assert span.parent.span_id == root.context.span_id
    moments: list[Any] = [queue.start_time, queue.end_time, prefill.end_time, decode.end_time]
    assert moments == sorted(moments)
    assert (queue.end_time, prefill.end_time) == (prefill.start_time, decode.start_time)
    assert dict(root.attributes or {})["http.response.status_code"] == 200
    assert dict(prefill.attributes or {})["gen_ai.usage.input_tokens"] == len("my secret") + 3
    assert dict(decode.attributes or {})["gen_ai.usage.output_tokens"] == 8
    assert "secret" not in "".join(span.to_json() for span in found.values())


def test_errors_are_told_by_status(server: Live, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    httpx.post(f"{server.url}/v1/chat/completions", json={"messages": []})
    [root] = spans(exporter).values()
    assert dict(root.attributes or {})["http.response.status_code"] == 400


def test_spans_go_to_the_collector_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        tracing = open_tracing()
        tracing.generation("m", Usage(3, 0, 5), "stop", (1.0, 2.0, 3.0))
        tracing.close()
        collector.shutdown()
    assert [path for path, _ in received] == ["/v1/traces"]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"sillar\[otel\]"):
        run(ServerOptions(traces=True))
