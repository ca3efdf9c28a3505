"""Turns an E5S1 file into a GGUF of architecture "bert", so that the engine knows one format.

Q4_0 matrices keep their bytes: nothing is requantised. Positions start at row 0 of the table: the model is a
BERT with XLM-R's vocabulary, its table has no rows for the padding offset, so none are dropped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from sillar.errors import ModelFormatError
from sillar.hub.cache import Progress, require_disk, silent
from sillar.hub.charsmap import build_charsmap, with_compositions
from sillar.hub.e5s1 import E5Model, read_e5s1
from sillar.hub.gguf_file import encoder_file

CONVERTER_VERSION = 1
_EMBEDDINGS = {
    "emb.word": "token_embd.weight",
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_LAYER = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}
_SUFFIX = {"w": "weight", "b": "bias"}


def convert_e5s1(source: Path, target: Path, progress: Progress = silent) -> None:
    """Writes the GGUF of the E5S1 file `source` to `target`, atomically.

    Raises ModelFormatError when `source` is not a sound E5S1 file, ResourceError when the disk is full.
    """
    model = read_e5s1(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    require_disk(target.parent, source.stat().st_size + (64 << 20))
    total = sum(tensor.nbytes for tensor in model.tensors.values())
    with encoder_file(target, total, progress) as writer:
        _add_shape(writer, model)
        _add_tokenizer(writer, model)
        for name, tensor in model.tensors.items():
            _add_tensor(writer, gguf_name(name), tensor)


def gguf_name(name: str) -> str:
    """llama.cpp's name of an E5S1 tensor: l3.q.w is blk.3.attn_q.weight."""
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    layer, part, suffix = name.split(".")
    return f"blk.{layer[1:]}.{_LAYER[part]}.{_SUFFIX[suffix]}"


def _add_tensor(writer: gguf.GGUFWriter, name: str, tensor: NDArray[Any]) -> None:
    if tensor.dtype == np.uint8:
        writer.add_tensor(name, np.asarray(tensor), raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    else:
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))


def _add_shape(writer: gguf.GGUFWriter, model: E5Model) -> None:
    writer.add_name("multilingual-e5-small")
    writer.add_context_length(model.positions)
    writer.add_embedding_length(model.hidden)
    writer.add_feed_forward_length(model.ffn)
    writer.add_block_count(model.layers)
    writer.add_head_count(model.heads)
    writer.add_layer_norm_eps(model.eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_string("sillar.query_prefix", "query: ")
    writer.add_string("sillar.passage_prefix", "passage: ")
    writer.add_uint32("sillar.converter_version", CONVERTER_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, model: E5Model) -> None:
    unused = [f"<unused{n}>" for n in range(model.vocab - len(model.pieces))]
    types = [gguf.TokenType.NORMAL] * len(model.pieces) + [gguf.TokenType.UNUSED] * len(unused)
    for token in (model.bos, model.eos, model.pad):
        types[token] = gguf.TokenType.CONTROL
    types[model.unk] = gguf.TokenType.UNKNOWN
    if model.pieces[-1] == "<mask>":
        types[len(model.pieces) - 1] = gguf.TokenType.CONTROL
        writer.add_mask_token_id(len(model.pieces) - 1)
    if any("\0" in text for pair in model.normalisation.items() for text in pair):
        raise ModelFormatError("The E5S1 file's normalisation map holds a NUL.")
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*model.pieces, *unused])
    writer.add_token_scores([*map(float, model.scores), *([0.0] * len(unused))])
    writer.add_token_types(types)
    writer.add_token_type_count(model.types)
    writer.add_bos_token_id(model.bos)
    writer.add_eos_token_id(model.eos)
    writer.add_unk_token_id(model.unk)
    writer.add_sep_token_id(model.eos)
    writer.add_pad_token_id(model.pad)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)
    writer.add_precompiled_charsmap(build_charsmap(with_compositions(model.normalisation)))
