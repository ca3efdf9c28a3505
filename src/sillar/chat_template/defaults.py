"""Templates for models whose file brings none, chosen by its control tokens and its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHATML = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""

LLAMA_3 = """\
{{- bos_token -}}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif -%}
"""

LLAMA_2 = """\
{%- set ns = namespace(system='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set ns.system = '<<SYS>>\\n' + message.content | trim + '\\n<</SYS>>\\n\\n' -%}
{%- elif message.role == 'assistant' -%}
{{ ' ' + message.content | trim + ' ' + eos_token }}
{%- else -%}
{{ bos_token + '[INST] ' + ns.system + message.content | trim + ' [/INST]' }}
{%- set ns.system = '' -%}
{%- endif -%}
{%- endfor -%}
"""

PLAIN = """\
{%- for message in messages -%}
{{ message.role | capitalize + ': ' + message.content | trim + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'Assistant:' }}{%- endif -%}
"""


def default_template(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """(name, template): Llama 3 or ChatML where their tokens exist, ChatML for qwen, Llama 2, else plain."""
    tokens = metadata.get("tokenizer.ggml.tokens") or ()
    architecture = metadata.get("general.architecture", "")
    known = {"<|im_start|>", "<|start_header_id|>"}.intersection(
        token for token in tokens if isinstance(token, str) and token.startswith("<|")
    )
    if "<|start_header_id|>" in known:
        return "llama-3", LLAMA_3
    if "<|im_start|>" in known or str(architecture).startswith("qwen"):
        return "chatml", CHATML
    if architecture == "llama" and metadata.get("tokenizer.ggml.model") == "llama":
        return "llama-2", LLAMA_2
    return "plain", PLAIN
