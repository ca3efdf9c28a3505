"""Writes GGUFs of real shapes with random weights, for speed only:

    python -m benchmarks.make_model mistral-7b Q4_0 [--out FOLDER]

Both engines load them: the vocabulary is made of numbered words. The file is written as a stream, in bounded
memory and at the disk's speed, and appears under its name only when it is whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from benchmarks import model_shapes, random_blocks
from benchmarks.machine import log
from sillar import hub

SEED = 20261122


def generated_dir() -> Path:
    return hub.cache_dir() / "generated"


def ensure_model(name: str, kind: str, folder: Path | None = None) -> Path:
    """The path of the model of this shape and kind; writes it first where it is not there."""
    path = (folder or generated_dir()) / f"{name}.{kind}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        write(partial, name, model_shapes.SHAPES[name], kind)
        partial.rename(path)
    return path


def find_model(name: str) -> Path:
    """A path to a GGUF, a name of the catalogue, or SHAPE:KIND for one with random weights."""
    if ":" in name:
        return ensure_model(*name.split(":", 1))
    return Path(name) if name.endswith(".gguf") else hub.resolve(name)


def write(path: Path, name: str, shape: model_shapes.Shape, kind: str) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    _add_metadata(writer, name, shape, kind)
    tensors = list(model_shapes.tensors(shape, kind))
    sizes = []
    for tensor_name, rows, cols, weight_type in tensors:
        block, block_bytes = gguf.GGML_QUANT_SIZES[weight_type]
        sizes.append(rows * cols // block * block_bytes)
        dims = (cols,) if weight_type == Type.F32 else (rows, cols)
        writer.add_tensor_info(tensor_name, dims, np.dtype(np.float32), sizes[-1], raw_dtype=weight_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    assert writer.fout
    file = writer.fout[0]
    _pad(file, writer.data_alignment)
    _write_weights(file, tensors, sizes, writer.data_alignment)
    writer.close()


def _write_weights(
    file: BinaryIO, tensors: list[tuple[str, int, int, Type]], sizes: list[int], align: int
) -> None:
    pools: dict[tuple[Type, int], bytes] = {}
    written, total, reported = 0, sum(sizes), 0.0
    for index, ((_, _, cols, weight_type), size) in enumerate(zip(tensors, sizes, strict=True)):
        if weight_type == Type.F32:
            file.write(np.ones(cols, dtype=np.float32).tobytes())
        else:
            key = (weight_type, cols)
            if key not in pools:
                pools[key] = random_blocks.pool(weight_type, cols, SEED + len(pools)).tobytes()
            _tile(file, pools[key], gguf.GGML_QUANT_SIZES[weight_type][1] * 97 * index, size)
        _pad(file, align)
        written += size
        if written / total >= reported + 0.2 or written == total:
            reported = written / total
            log(f"{file.name}: {written >> 20} of {total >> 20} MiB")


def _tile(file: BinaryIO, pool: bytes, start: int, size: int) -> None:
    """Writes `size` bytes of the pool, over and over, from byte `start` on, a whole number of blocks."""
    view, at = memoryview(pool), start % len(pool)
    while size > 0:
        piece = view[at : at + size]
        file.write(piece)
        size, at = size - len(piece), 0


def _pad(file: BinaryIO, align: int) -> None:
    file.write(bytes(-file.tell() % align))


def _add_metadata(writer: gguf.GGUFWriter, name: str, shape: model_shapes.Shape, kind: str) -> None:
    writer.add_name(f"{name}, random weights")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocab)
    writer.add_file_type(model_shapes.FILE_TYPES[kind])
    special = ["<unk>", "<s>", "</s>"]
    single_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    words = [f"\u2581w{number}" for number in range(shape.vocab - len(special) - len(single_bytes))]
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 2
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(words)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(special + single_bytes + words)
    writer.add_token_scores([0.0] * 259 + [-float(number) for number in range(len(words))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=model_shapes.SHAPES)
    parser.add_argument("kind", choices=model_shapes.KINDS)
    parser.add_argument("--out", type=Path, help="folder; default: generated/ in Sillar's cache folder")
    arguments = parser.parse_args()
    print(ensure_model(arguments.name, arguments.kind, arguments.out))


if __name__ == "__main__":
    main()
