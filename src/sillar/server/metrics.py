"""What /metrics tells Prometheus: latencies of requests, and the engines' own counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sillar.engine.engine import Engine

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
_COUNTERS = {
    "prompt_tokens": "Prompt tokens of admitted requests.",
    "cached_tokens": "Prompt tokens that were found in the prefix cache.",
    "restored_tokens": "Of those, the ones whose cache came back from disk.",
    "generated_tokens": "Tokens drawn.",
    "drafted_tokens": "Tokens drafted by prompt lookup.",
    "accepted_tokens": "Drafted tokens that were right.",
    "preemptions": "Requests that gave up their memory for others and were computed again.",
    "steps": "Steps of the engine.",
}
_GAUGES = {
    "running": "Requests in the batch.",
    "waiting": "Requests in the queue.",
    "kv_blocks": "Blocks of the KV cache.",
    "kv_used": "Blocks that a request holds.",
    "kv_cached": "Blocks that can be found by their content.",
    "kv_spilled": "Blocks on disk.",
}


class Metrics:
    """A registry of its own, so that several servers in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sillar_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.time_to_first_token = Histogram(
            "sillar_time_to_first_token_seconds",
            "From the request's arrival to its first text.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.time_per_output_token = Histogram(
            "sillar_time_per_output_token_seconds",
            "Mean of a request, after its first token.",
            ["model"],
            buckets=tuple(edge / 10 for edge in _SECONDS),
            registry=self.registry,
        )
        self.duration = Histogram(
            "sillar_request_seconds", "Whole requests.", ["route"], buckets=_SECONDS, registry=self.registry
        )

    def watch(self, engines: Callable[[], Mapping[str, Engine]]) -> None:
        """Reads these engines whenever the metrics are asked for."""
        self.registry.register(_Engines(engines))

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self.registry)


class _Engines(Collector):
    def __init__(self, engines: Callable[[], Mapping[str, Engine]]) -> None:
        self._engines = engines

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        engines = self._engines()
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"sillar_{name}", text, labels=["model"])
            for model, engine in engines.items():
                counter.add_metric([model], getattr(engine.stats, name))
            yield counter
        for name, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"sillar_{name}", text, labels=["model"])
            for model, engine in engines.items():
                gauge.add_metric([model], engine.gauges()[name])
            yield gauge
