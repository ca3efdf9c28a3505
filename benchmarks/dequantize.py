"""Writes a small model's weights as float32: `python -m benchmarks.dequantize IN.gguf OUT.gguf`."""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np


def dequantize(source: Path, target: Path) -> None:
    """Copies a GGUF with every tensor dequantised to float32; the size grows 4 to 8 times."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=element)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values.reshape(tensor.shape[::-1]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    dequantize(Path(sys.argv[1]), Path(sys.argv[2]))
