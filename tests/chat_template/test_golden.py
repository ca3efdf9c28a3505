"""llama.cpp's collection of published templates: each renders a plain conversation or says why not."""

import pytest

from sillar.chat_template import ChatTemplate
from sillar.errors import TemplateError
from tests.packages import llama_cpp_models

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hola 4711"},
    {"role": "assistant", "content": "Buenas"},
    {"role": "user", "content": "Adiós 4712"},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Looks something up",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string", "description": "what"}},
                "required": ["text"],
            },
        },
    }
]
NEED_TOOLS = {
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
}
NEED_MORE = {"fireworks-ai-llama-3-firefunction-v2": "functions"}
"""Templates that ask for a variable of their own."""


def test_every_template_renders_or_says_why_not() -> None:
    paths = sorted((llama_cpp_models() / "templates").glob("*.jinja"))
    assert len(paths) >= 69
    failed = {}
    for path in paths:
        template = ChatTemplate(path.read_text(encoding="utf-8"), bos_token="<s>", eos_token="</s>")
        for tools in (None, TOOLS):
            try:
                text = template.render(MESSAGES, tools)
            except TemplateError as error:
                failed[path.stem, tools is not None] = str(error)
                continue
            assert "4711" in text
            assert "4712" in text
    expected = {(name, False) for name in NEED_TOOLS} | {
        (name, tools) for name in NEED_MORE for tools in (False, True)
    }
    assert failed.keys() == expected
    assert all(NEED_MORE[name] in error for (name, _), error in failed.items() if name in NEED_MORE)
