"""The house checks find what they are for, and nothing in innocent code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import structure as structure_page
from scripts.checks import cpp_functions, hygiene, includes, sizes, structure, symbols

CPP = """\
// a comment with { and "
#define BLOCK {
namespace a {
struct S {
  S(int x) : x_{x} {
    run([&](int i) { use(i); });
  }
  bool operator==(const S& other) const { return x_ == other.x_; }
  int x_ = 0;
  const char* text = "{";
};
constexpr int table[] = {
  1, 2, f(3),
};
template <class T>
static T longer(T a,
                T b) noexcept {
  if (a) {
    return b;
  }
  return a;
}
}  // namespace a
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_cpp_functions_are_found_with_their_lengths() -> None:
    found = [
        (signature.split("(")[0].split()[-1], line, lines)
        for signature, line, lines in cpp_functions.functions(CPP)
    ]
    assert found == [("S", 5, 3), ("operator==", 8, 1), ("longer", 15, 8)]


def test_sizes_name_the_long_file_and_the_long_function(repository: Path) -> None:
    write(repository, "long.py", "x = 1\n" * 401)
    write(repository, "function.py", "def f():\n" + "    x = 1\n" * 60)
    write(repository, "function.cc", "void g() {\n" + "  x();\n" * 60 + "}\n")
    problems = "\n".join(sizes.check(repository).problems)
    assert "long.py: 401 lines" in problems
    assert "function.py:1 f: 61 lines" in problems
    assert "function.cc:1 void g(): 62 lines" in problems


def test_sizes_pass_small_files(repository: Path) -> None:
    write(repository, "small.py", "def f():\n    return 1\n")
    findings = sizes.check(repository)
    assert findings.problems == []
    assert any("1 functions" in line for line in findings.figures)


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("native/base/a.cc", '#include "model/m.h"', "base may not see model"),
        ("native/model/a.cc", '#include "kernels/matmul/packed.h"', "private to kernels/"),
        ("native/model/a.cc", "#include <nanobind/nanobind.h>", "belong in bind/"),
        ("native/model/a.cc", '#include "elsewhere.h"', "names no file"),
        ("native/model/a.cc", '#include "kernels/kernels.h"', None),
        ("native/kernels/matmul/a.cc", '#include "packed.h"', None),
        ("native/bind/a.cc", "#include <Python.h>", None),
    ],
)
def test_includes(repository: Path, path: str, text: str, problem: str | None) -> None:
    write(repository, "native/kernels/matmul/packed.h", "#pragma once\n")
    write(repository, path, text + "\n")
    problems = includes.check(repository).problems
    assert [problem in line for line in problems] == ([True] if problem else [])


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ("0000 D _ZN6sillar12avx2_kernelsE\n0000 t _ZN12_GLOBAL__N_13addE\n                 U memcpy", None),
        ("0000 D table\n0000 W _ZNSt6vectorIfE4dataEv", "weak symbol"),
        ("0000 D table\n0000 t _GLOBAL__sub_I_table", "static initialiser"),
        ("0000 D table\n0000 T helper", "exports 2 symbols"),
        ("0000 t helper", "exports 0 symbols"),
    ],
)
def test_symbols(listed: str, problem: str | None) -> None:
    problems = symbols.judge(listed)
    assert [problem in line for line in problems] == ([True] if problem else [])


def test_hygiene_refuses_weights_binaries_and_large_files(repository: Path) -> None:
    write(repository, "large.json", "x" * 200_001)
    write(repository, "model.safetensors", "weights")
    (repository / "program").write_bytes(b"\x7fELF\0\0")
    (repository / "docs").mkdir()
    (repository / "docs/page.png").write_bytes(b"\x89PNG\0")
    problems = "\n".join(hygiene.check(repository).problems)
    assert "large.json: 200001 bytes" in problems
    assert "model.safetensors: weights" in problems
    assert "program: a binary file" in problems
    assert "page.png" not in problems


PAGE = f"# Structure\n\n{structure_page.BEGIN}\n{structure_page.END}\nafter\n"


def test_structure_page_is_written_from_the_files_and_checked_against_them(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "src/sillar/a.py", '"""Does a. More about\na."""\n')
    write(repository, "native/base/b.h", "// What b is for,\n// in two lines.\n#pragma once\n")
    write(repository, "native/base/b.cc", '#include "base/b.h"\n')
    write(repository, "docs/structure.md", PAGE)
    assert len(structure.check(repository).problems) == 2
    monkeypatch.setattr(structure_page, "__file__", str(repository / "scripts/structure.py"))
    structure_page.main()
    page = (repository / "docs/structure.md").read_text()
    assert "- `a.py`: Does a\n" in page
    assert "- `b.{h,cc}`: What b is for, in two lines\n" in page
    assert page.endswith("after\n")
    assert structure.check(repository).problems == []
    (repository / "src/sillar/a.py").unlink()
    assert structure.check(repository).problems == [
        "docs/structure.md names src/sillar/a.py, which is not there"
    ]
