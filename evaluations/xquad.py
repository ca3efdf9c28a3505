"""XQuAD into question sets: `python -m evaluations.xquad --out DIR [xquad.en.json xquad.es.json]`.

Without files they are fetched: https://github.com/google-deepmind/xquad (CC-BY-SA-4.0). Ids count articles
and paragraphs, so a set can be asked over another language's passages.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import platformdirs

from evaluations.corpora import CorpusError

SOURCE = "https://raw.githubusercontent.com/google-deepmind/xquad/master"
LANGUAGES = ("en", "es")
_MOST_BYTES = 20_000_000


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


def fetch(source: str = SOURCE, folder: Path | None = None) -> list[Path]:
    """The sets of both languages, fetched where they are not yet. CorpusError when they cannot be had."""
    folder = folder or platformdirs.user_cache_path("sillar") / "corpora" / "xquad"
    paths = [folder / f"xquad-{language}.json" for language in LANGUAGES]
    folder.mkdir(parents=True, exist_ok=True)
    for language, path in zip(LANGUAGES, paths, strict=True):
        if not path.is_file():
            result = convert(_download(f"{source}/xquad.{language}.json"), path.stem, language)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
            part.replace(path)
    return paths


def _download(url: str) -> dict[str, Any]:
    try:
        answer = httpx.get(url, timeout=httpx.Timeout(10.0, read=60.0), follow_redirects=True)
        answer.raise_for_status()
        data = json.loads(answer.content) if len(answer.content) < _MOST_BYTES else {}
    except (httpx.HTTPError, ValueError) as error:
        raise CorpusError(f"{url}: {error}") from None
    if not isinstance(data, dict) or not data.get("data"):
        raise CorpusError(f"{url}: not XQuAD")
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="named xquad.LANGUAGE.json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if not arguments.files:
        try:
            print(*fetch(folder=arguments.out), sep="\n")
        except CorpusError as error:
            sys.exit(str(error))
    for file in arguments.files:
        language = file.stem.rpartition(".")[2]
        name = f"xquad-{language}"
        data = json.loads(file.read_text(encoding="utf-8"))
        path = arguments.out / f"{name}.json"
        path.write_text(json.dumps(convert(data, name, language), ensure_ascii=False), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
