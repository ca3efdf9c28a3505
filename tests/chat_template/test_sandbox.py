"""Hostile templates: each ends with a TemplateError within its limits, and the next rendering works."""

import os
from collections.abc import Iterator

import pytest

from sillar.chat_template.sandbox import Limits, Sandbox
from sillar.errors import TemplateError


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(Limits(cpu_seconds=0.5, memory=256 << 20, output=100_000))
    yield sandbox
    sandbox.close()


HOSTILE = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "huge range": "{% for a in range(10**12) %}{% endfor %}",
    "string repetition": "{{ ('a' * 10**10) | length }}",
    "repetition by doubling": "{% set ns = namespace(s='a') %}"
    "{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "list repetition": "{{ ([1] * 10**10) | length }}",
    "billion laughs": "{% set a = ['x'] * 50 %}"
    + "".join(f"{{% set {y} = [{x}] * 50 %}}" for x, y in zip("abcdefg", "bcdefgh", strict=True))
    + "{{ h | string | length }}",
    "recursive macro": "{% macro f(n) %}{% if n %}{{ f(n-1) ~ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "endless recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "big power": "{{ 9 ** (9 ** 9) }}",
    "format width": "{{ '%1000000000d' % 1 }}",
    "format method": "{{ '{:>1000000000}'.format(1) }}",
    "padding": "{{ 'a'.ljust(10**10) }}",
    "long output": "{% for a in range(99999) %}{{ 'aaaaaaaaaa' }}{% endfor %}",
    "attributes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.system('true') }}",
    "mutation": "{{ messages.append(1) }}",
    "include": "{% include '/etc/passwd' %}",
    "syntax": "{% if %}",
    "nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "undefined": "{{ nothing.here }}",
    "raise": "{{ raise_exception('no') }}",
    "lipsum": "{{ lipsum(n=10**7) }}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_end_with_an_error(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(TemplateError):
        sandbox.render(HOSTILE[name], {"messages": []})
    assert sandbox.render("{{ messages | length }}", {"messages": [1]}) == "1"


def test_no_secret_of_the_process_reaches_the_child(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fresh = Sandbox()
    assert fresh.render("ok", {}) == "ok"
    child = fresh._child
    assert child is not None
    if os.path.exists(f"/proc/{child.pid}/environ"):
        with open(f"/proc/{child.pid}/environ", "rb") as handle:
            assert b"secret" not in handle.read()
    fresh.close()


def test_a_killed_child_is_replaced(sandbox: Sandbox) -> None:
    assert sandbox.render("a", {}) == "a"
    assert sandbox._child is not None
    sandbox._child.kill()
    sandbox._child.wait()
    assert sandbox.render("b", {}) == "b"


def test_what_templates_expect(sandbox: Sandbox) -> None:
    template = """{%- for m in messages %}
    {%- if loop.index0 == 1 %}{% continue %}{% endif %}
    {%- generation %}{{ m | tojson }}{% endgeneration %}
    {%- endfor %}
{{ '%s-%d' % ('a', 1) }} {{ strftime_now('%Y') | length }} {{ {'b': 1, 'a': 2} | dictsort }}"""
    text = sandbox.render(template, {"messages": ["ñ<", 2, {"a": None}]})
    assert text == "\"ñ<\"{\"a\": null}a-1 4 [('a', 2), ('b', 1)]"


def test_data_that_is_not_plain_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(TemplateError):
        sandbox.render("x", {"messages": object()})
