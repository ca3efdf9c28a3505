"""Runs lm-eval's local-completions over the tasks beside it; prints results and samples as JSON.

A process of its own: no hub may be asked, and that is decided when the libraries are imported.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

TASKS = Path(__file__).parent / "lm_eval_tasks"


def main(url: str, model: str, cache: str) -> None:
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": cache,
        "HF_DATASETS_CACHE": cache,
    }
    os.environ["TQDM_DISABLE"] = "1"
    os.chdir(TASKS)  # the tasks name their data beside them
    from lm_eval import simple_evaluate  # noqa: PLC0415  after the environment is set
    from lm_eval.tasks import TaskManager  # noqa: PLC0415

    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    results = simple_evaluate(
        model="local-completions",
        model_args={
            "model": model,
            "base_url": f"{url}/v1/completions",
            "num_concurrent": 4,
            "max_retries": 1,
        },
        tasks=sorted(manager.all_tasks),
        task_manager=manager,
        bootstrap_iters=0,
    )
    samples = {
        task: [{"doc": s["doc"], "resps": s["resps"]} for s in found]
        for task, found in results["samples"].items()
    }
    json.dump({"results": results["results"], "samples": samples}, sys.stdout)


main(*sys.argv[1:])
