"""XQuAD's own files into question sets: `python -m evaluations.xquad xquad.en.json xquad.es.json --out DIR`.

The files: https://github.com/google-deepmind/xquad (CC-BY-SA-4.0). Ids count articles and paragraphs, so a
set can be asked over another language's passages.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def convert(data: dict[str, Any], name: str, language: str) -> dict[str, Any]:
    """A set in the shape of evaluations.sets."""
    passages, queries = [], []
    for a, article in enumerate(data["data"]):
        for p, paragraph in enumerate(article["paragraphs"]):
            identifier = f"{a}-{p}"
            passages.append({"id": identifier, "text": paragraph["context"]})
            for question in paragraph["qas"]:
                answers = list(dict.fromkeys(answer["text"] for answer in question["answers"]))
                queries.append({"q": question["question"], "gold": [identifier], "answer": answers})
    return {"name": name, "lang": language, "passages": passages, "queries": queries}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="named xquad.LANGUAGE.json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for file in arguments.files:
        language = file.stem.rpartition(".")[2]
        name = f"xquad-{language}"
        data = json.loads(file.read_text(encoding="utf-8"))
        path = arguments.out / f"{name}.json"
        path.write_text(json.dumps(convert(data, name, language), ensure_ascii=False), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
