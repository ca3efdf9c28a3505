"""Keeps one workload of Sillar running, for a profiler: `perf record -D 3000 python -m benchmarks.loop ...`.

python -m benchmarks.loop MODEL.gguf prefill|decode|batched SIZE [--seconds 8] [--kv-type f16]
"""

from __future__ import annotations

import argparse
import time

from benchmarks.peer_sillar import Sillar
from benchmarks.workloads import Workloads


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("workload", choices=("prefill", "decode", "batched"))
    parser.add_argument("size", type=int, help="tokens of the prompt, of the context, or streams")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kv-type", default="f16")
    arguments = parser.parse_args()
    size, streams = arguments.size, arguments.size if arguments.workload == "batched" else 1
    context = 64 if arguments.workload == "batched" else size
    calls = Workloads(Sillar())
    calls.load(arguments.model, arguments.threads, room=(context + 64) * streams, kv_type=arguments.kv_type)
    calls.reserve([context + 64] * streams)
    calls.fill(list(range(streams)), context)
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        if arguments.workload == "prefill":
            calls.fill([0], size)
        else:
            calls.decode(streams, context, 32)


if __name__ == "__main__":
    main()
