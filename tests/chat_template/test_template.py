"""Templates of the file and default ones."""

from typing import Any

import pytest

from sillar.chat_template import ChatTemplate
from sillar.errors import ModelFormatError, TemplateError

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": " Hola "},
    {"role": "assistant", "content": "Buenas"},
    {"role": "user", "content": "Adiós"},
]


def metadata(*tokens: str, **keys: Any) -> dict[str, Any]:
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.tokens": ["<s>", "</s>", *tokens],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        **keys,
    }


def test_the_files_own_template_and_its_variables() -> None:
    source = "{{ bos_token }}{% for m in messages %}{{ m.role[0] }}{% endfor %}"
    source += "{{ eos_token }}{{ add_generation_prompt }}{{ x }}"
    template = ChatTemplate.from_metadata(metadata(**{"tokenizer.chat_template": source}))
    assert template.name == "file"
    assert template.render(MESSAGES, x=3) == "<s>suau</s>True3"


@pytest.mark.parametrize(
    ("tokens", "keys", "name", "text"),
    [
        (
            ["<|im_start|>"],
            {},
            "chatml",
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n Hola <|im_end|>\n"
            "<|im_start|>assistant\nBuenas<|im_end|>\n<|im_start|>user\nAdiós<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        ([], {"general.architecture": "qwen2"}, "chatml", None),
        (
            ["<|start_header_id|>"],
            {},
            "llama-3",
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHola<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nBuenas<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nAdiós<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            [],
            {"tokenizer.ggml.model": "llama"},
            "llama-2",
            "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHola [/INST] Buenas </s><s>[INST] Adiós [/INST]",
        ),
        ([], {}, "plain", "System: Be kind.\nUser: Hola\nAssistant: Buenas\nUser: Adiós\nAssistant:"),
    ],
)
def test_default_templates(tokens: list[str], keys: dict[str, str], name: str, text: str | None) -> None:
    template = ChatTemplate.from_metadata(metadata(*tokens, **keys))
    assert template.name == name
    if text is not None:
        assert template.render(MESSAGES) == text


def test_a_family_without_system_role_gets_it_with_the_first_question() -> None:
    source = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    source += "{{ m.content }}|{% endfor %}"
    template = ChatTemplate(source)
    assert template.render(MESSAGES) == "Be kind.\n\n Hola |Buenas|Adiós|"
    with pytest.raises(TemplateError, match="no"):
        template.render([MESSAGES[0]])


def test_tools_take_their_own_template() -> None:
    keys = {
        "tokenizer.chat_template": "plain{{ tools is none }}",
        "tokenizer.chat_template.tool_use": "{{ tools[0].name }}",
    }
    template = ChatTemplate.from_metadata(metadata(**keys))
    assert template.render(MESSAGES) == "plainTrue"
    assert template.render(MESSAGES, [{"name": "f"}]) == "f"


@pytest.mark.parametrize("source", [5, ["a"], "a" * (1 << 21)])
def test_what_is_no_template_is_refused(source: Any) -> None:
    with pytest.raises(ModelFormatError):
        ChatTemplate.from_metadata(metadata(**{"tokenizer.chat_template": source}))
