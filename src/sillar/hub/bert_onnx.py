"""Turns a BERT of ONNX Runtime's dynamic int8 form (bge, cross-encoders) into a GGUF, as llama.cpp names it.

Matrices keep their integers: one scale a matrix or column becomes the same fp16 scale in each Q8_0 block of
32. Embedding tables, whose integers have a zero point, become F16. A classifier makes the model a reranker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from sillar.errors import ModelFormatError
from sillar.hub.cache import Progress, require_disk, silent
from sillar.hub.gguf_file import encoder_file
from sillar.hub.onnx import OnnxFile

CONVERTER_VERSION = 1
_BLOCK = 32
_MAX_LAYERS = 256
_MAX_TOKEN = 200
_EPS = 1e-12  # BERT's
_MIN_SCALE = 2.0**-14  # fp16 loses digits below
_EMBEDDINGS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
}
_LAYER_LINEAR = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
}
_LAYER_NORM = {"attention.output.LayerNorm": "attn_output_norm", "output.LayerNorm": "layer_output_norm"}
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True, slots=True)
class BertOptions:
    """What the file itself does not say."""

    name: str
    heads: int
    query_prefix: str = ""


class _Bert:
    """The tensors of an ONNX file by BERT's module names, with or without "bert." before them."""

    def __init__(self, file: OnnxFile) -> None:
        self._file = file
        self._root = "bert." if "bert.embeddings.LayerNorm.weight" in file else ""
        self.layers = next(
            n
            for n in range(_MAX_LAYERS + 1)
            if self._name(f"encoder.layer.{n}.output.LayerNorm.weight") not in file
        )
        self.is_reranker = "classifier.bias" in file

    def vector(self, module: str, part: str) -> NDArray[np.float32]:
        """float32 [n]."""
        found = self._file.tensor(self._name(f"{module}.{part}"))
        if found.dtype != np.float32 or found.ndim != 1 or not np.all(np.isfinite(found)):
            raise ModelFormatError(f"The ONNX file's {module}.{part} is no vector of finite numbers.")
        return found

    def table(self, module: str) -> NDArray[np.float16]:
        """An embedding table, [rows, hidden]."""
        stem = self._name(f"{module}.weight")
        values, scale, zero = self._quantised(stem)
        if scale.size != 1:
            raise ModelFormatError(f"The ONNX file's {module} has more than one scale.")
        return ((values.astype(np.float32) - zero.astype(np.float32).ravel()) * scale.ravel()).astype(
            np.float16
        )

    def matrix(self, module: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """A linear layer's integers [out, in] and the scale of each row [out]."""
        path = self._name(module).replace(".", "/").replace("layer/", "layer.")
        nodes = [f"/{path}/{kind}_quant" for kind in ("MatMul", "Gemm_MatMul")]
        found = [self._file.products[node] for node in nodes if node in self._file.products]
        if len(found) != 1 or not found[0].endswith("_quantized"):
            raise ModelFormatError(f"The ONNX file does not multiply by an int8 matrix in {module}.")
        values, scale, zero = self._quantised(found[0].removesuffix("_quantized"))
        rows = values.T
        if values.dtype != np.int8 or np.any(zero) or values.min(initial=0) < -127:
            raise ModelFormatError(f"The ONNX file's {module} is not quantised symmetrically to int8.")
        if scale.size not in (1, len(rows)):
            raise ModelFormatError(f"The ONNX file's {module} has {scale.size} scales.")
        return np.ascontiguousarray(rows), np.broadcast_to(scale.ravel(), len(rows))

    def _quantised(self, stem: str) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[Any]]:
        values, scale, zero = (
            self._file.tensor(stem + part) for part in ("_quantized", "_scale", "_zero_point")
        )
        if (
            values.ndim != 2
            or values.dtype == np.float32
            or zero.dtype != values.dtype
            or zero.size != scale.size
        ):
            raise ModelFormatError(f"The ONNX file's {stem} is not a quantised matrix.")
        if scale.dtype != np.float32 or not np.all((scale > _MIN_SCALE) & (scale < 1)):
            raise ModelFormatError(f"The ONNX file's {stem} has scales that fp16 cannot hold.")
        return values, scale, zero

    def _name(self, module: str) -> str:
        return module if module.startswith("classifier") else self._root + module


def convert_bert_onnx(
    source: Path, vocabulary: Path, target: Path, options: BertOptions, progress: Progress = silent
) -> None:
    """Writes the GGUF of `source` (ONNX) and `vocabulary` (vocab.txt) to `target`, atomically.

    Raises ModelFormatError when they are not a sound model of this form, ResourceError when the disk is full.
    """
    bert = _Bert(OnnxFile(source))
    tensors = _tensors(bert)
    tokens = read_vocabulary(vocabulary, len(tensors["token_embd.weight"][0]))
    target.parent.mkdir(parents=True, exist_ok=True)
    total = sum(data.nbytes for data, _ in tensors.values())
    require_disk(target.parent, total + (16 << 20))
    with encoder_file(target, total, progress) as writer:
        _add_shape(writer, bert, tensors, options)
        _add_tokenizer(writer, tokens)
        for name, (data, kind) in tensors.items():
            writer.add_tensor(name, data, raw_dtype=kind)


_Tensors = dict[str, tuple[NDArray[Any], gguf.GGMLQuantizationType]]


def _tensors(bert: _Bert) -> _Tensors:
    """Every tensor by its GGUF name, its shape checked against the others'."""
    out: _Tensors = {}
    for module, name in _EMBEDDINGS.items():
        out[f"{name}.weight"] = bert.table(module), gguf.GGMLQuantizationType.F16
    widths = {out[f"{name}.weight"][0].shape[1] for name in _EMBEDDINGS.values()}
    hidden = max(widths)
    _add_norm(out, bert, "embeddings.LayerNorm", "token_embd_norm", hidden)
    if not bert.layers:
        raise ModelFormatError("The ONNX file has no layer of a BERT.")
    ffn = len(bert.vector("encoder.layer.0.intermediate.dense", "bias"))
    if len(widths) > 1 or hidden % _BLOCK or ffn % _BLOCK:
        raise ModelFormatError(
            f"The ONNX file's layers of {sorted(widths)} and {ffn} do not fit blocks of 32."
        )
    for n in range(bert.layers):
        for module, name in _LAYER_LINEAR.items():
            shape = {"ffn_up": (ffn, hidden), "ffn_down": (hidden, ffn)}.get(name, (hidden, hidden))
            _add_linear(out, bert, f"encoder.layer.{n}.{module}", f"blk.{n}.{name}", shape)
        for module, name in _LAYER_NORM.items():
            _add_norm(out, bert, f"encoder.layer.{n}.{module}", f"blk.{n}.{name}", hidden)
    if bert.is_reranker:
        _add_linear(out, bert, "pooler.dense", "cls", (hidden, hidden))
        _add_score(out, bert, hidden)
    return out


def _add_linear(out: _Tensors, bert: _Bert, module: str, name: str, shape: tuple[int, int]) -> None:
    values, scales = bert.matrix(module)
    bias = bert.vector(module, "bias")
    if values.shape != shape or len(bias) != shape[0]:
        raise ModelFormatError(f"The ONNX file's {module} is {values.shape}; {shape} was expected.")
    out[f"{name}.weight"] = q8_0(values, scales), gguf.GGMLQuantizationType.Q8_0
    out[f"{name}.bias"] = bias, gguf.GGMLQuantizationType.F32


def _add_score(out: _Tensors, bert: _Bert, hidden: int) -> None:
    values, scales = bert.matrix("classifier")
    bias = bert.vector("classifier", "bias")
    if values.shape != (1, hidden) or len(bias) != 1:
        raise ModelFormatError("The ONNX file's classifier does not give one score.")
    out["cls.output.weight"] = values * scales[:, None], gguf.GGMLQuantizationType.F32
    out["cls.output.bias"] = bias, gguf.GGMLQuantizationType.F32


def _add_norm(out: _Tensors, bert: _Bert, module: str, name: str, hidden: int) -> None:
    for part in ("weight", "bias"):
        vector = bert.vector(module, part)
        if len(vector) != hidden:
            raise ModelFormatError(f"The ONNX file's {module} has {len(vector)} values, not {hidden}.")
        out[f"{name}.{part}"] = vector, gguf.GGMLQuantizationType.F32


def q8_0(values: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Q8_0 blocks, uint8 [rows, columns / 32 * 34], of integers [rows, columns] with one scale a row."""
    rows, columns = values.shape
    blocks = np.empty((rows, columns // _BLOCK, 2 + _BLOCK), np.uint8)
    blocks[:, :, :2] = scales.astype("<f2").view(np.uint8).reshape(rows, 1, 2)
    blocks[:, :, 2:] = values.view(np.uint8).reshape(rows, -1, _BLOCK)
    return blocks.reshape(rows, -1)


def read_vocabulary(path: Path, count: int) -> list[str]:
    """BERT's vocab.txt: a token a line, `count` of them. Raises ModelFormatError."""
    try:
        tokens = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelFormatError(f"{path.name} is not UTF-8.") from error
    if tokens[-1] == "":
        tokens.pop()
    tokens = [token.removesuffix("\r") for token in tokens]
    if len(tokens) != count or len(set(tokens)) != count:
        raise ModelFormatError(f"{path.name} holds {len(set(tokens))} tokens; the model has {count}.")
    if any(len(token) > _MAX_TOKEN or "\0" in token for token in tokens) or not set(_SPECIAL) <= set(tokens):
        raise ModelFormatError(f"{path.name} is not a vocabulary of BERT.")
    return tokens


def _add_shape(writer: gguf.GGUFWriter, bert: _Bert, tensors: _Tensors, options: BertOptions) -> None:
    positions, hidden = tensors["position_embd.weight"][0].shape
    if not 0 < options.heads <= hidden or hidden % options.heads:
        raise ModelFormatError(f"{hidden} dimensions cannot be cut into {options.heads} heads.")
    writer.add_name(options.name)
    writer.add_context_length(positions)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(len(tensors["blk.0.ffn_up.bias"][0]))
    writer.add_block_count(bert.layers)
    writer.add_head_count(options.heads)
    writer.add_layer_norm_eps(_EPS)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.RANK if bert.is_reranker else gguf.PoolingType.CLS)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    if options.query_prefix:
        writer.add_string("sillar.query_prefix", options.query_prefix)


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    types = [_token_type(token) for token in tokens]
    ids: Mapping[str, int] = {token: tokens.index(token) for token in _SPECIAL}
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    # GGUF marks the pieces that begin a word, BERT those that do not.
    writer.add_token_list(
        [
            token
            if kind != gguf.TokenType.NORMAL
            else token[2:]
            if token.startswith("##") and len(token) > 2
            else f"\u2581{token}"
            for token, kind in zip(tokens, types, strict=True)
        ]
    )
    writer.add_token_types(types)
    writer.add_token_type_count(2)
    writer.add_bos_token_id(ids["[CLS]"])
    writer.add_eos_token_id(ids["[SEP]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_mask_token_id(ids["[MASK]"])


def _token_type(token: str) -> gguf.TokenType:
    if token == "[UNK]":
        return gguf.TokenType.UNKNOWN
    if token in _SPECIAL:
        return gguf.TokenType.CONTROL
    if token.startswith("[unused"):
        return gguf.TokenType.UNUSED
    return gguf.TokenType.NORMAL
