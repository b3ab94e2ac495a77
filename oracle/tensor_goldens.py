"""Golden files of the tensor formats, by the formats' own libraries (safetensors with torch, numpy).

Writes into packages/tensor/fixtures (or DIR):
    dtypes.safetensors    a tensor of every type we read, the values VALUES below, with metadata
    widening.json         the float32 bits of telling float16 and bfloat16 values, and the SHA-256 of the widened 65,536
                          values of each type (float32, little-endian, every NaN as 0x7fc00000)
    NAME.npy              arrays of every type and some shapes, and files that must be refused (`refused_*.npy`)

    python oracle/tensor_goldens.py [DIR]
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy_format
from safetensors import serialize_file

TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
}
NUMPY = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}
TELLING_F16 = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xC000, 0x3555, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00,
               0x7C01, 0x7E00, 0xFE00]
TELLING_BF16 = [0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x0080, 0x3F80, 0xC000, 0x3EAB, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80,
                0x7F81, 0x7FC0, 0xFFC0]


def values(dtype: str) -> list:
    if dtype == "BOOL":
        return [True, False, True, True, False, False]
    if dtype.startswith("U"):
        return [0, 1, 2, 3, 100, 2 ** int(dtype[1:]) - 1]
    if dtype.startswith("I"):
        high = 2 ** (int(dtype[1:]) - 1)
        return [0, 1, -1, 100, high - 1, -high]
    return [0.0, -0.0, 1.5, -2.25, 0.333251953125, 2.0**-14]


def widened(kind: torch.dtype, bits: np.ndarray) -> np.ndarray:
    wide = torch.from_numpy(bits.astype(np.uint16)).view(kind).to(torch.float32).numpy().view(np.uint32).copy()
    wide[(wide & 0x7FFFFFFF) > 0x7F800000] = 0x7FC00000
    return wide


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, dtype in TORCH.items():
        tensors[f"{name}.matrix"] = torch.tensor(values(name), dtype=dtype).reshape(2, 3)
    tensors["scalar"] = torch.tensor(7.0)
    tensors["empty"] = torch.zeros(0, 5)
    tensors["naïve 张量"] = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    # The torch wrapper knows no wide unsigned types; the library below it does.
    entries = {
        name: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "data": tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() > 0 else b"",
        }
        for name, tensor in tensors.items()
    }
    serialize_file(entries, str(out / "dtypes.safetensors"), metadata={"format": "pt"})

    every = np.arange(65536)
    widening = {}
    for name, kind, telling in (("F16", torch.float16, TELLING_F16), ("BF16", torch.bfloat16, TELLING_BF16)):
        wide = widened(kind, np.array(telling)).tolist()
        digest = hashlib.sha256(widened(kind, every).astype("<u4").tobytes()).hexdigest()
        widening[name] = {"telling": [list(pair) for pair in zip(telling, wide)], "sha256": digest}
    (out / "widening.json").write_text(json.dumps(widening, indent=2) + "\n")

    for name, descr in NUMPY.items():
        np.save(out / f"{name}.npy", np.array(values(name), dtype=descr).reshape(2, 3))
    np.save(out / "scalar.npy", np.float32(7))
    np.save(out / "empty.npy", np.zeros((0, 5), dtype="<f4"))
    np.save(out / "vector.npy", np.arange(5, dtype="<i4"))
    np.save(out / "cube.npy", np.arange(24, dtype="<f4").reshape(2, 3, 4))
    for version in ((2, 0), (3, 0)):
        with open(out / f"version_{version[0]}.npy", "wb") as file:
            npy_format.write_array(file, np.arange(5, dtype="<i4"), version=version)
    np.save(out / "refused_fortran.npy", np.asfortranarray(np.arange(6, dtype="<f4").reshape(2, 3)))
    np.save(out / "refused_big_endian.npy", np.arange(3, dtype=">f4"))
    np.save(out / "refused_complex.npy", np.zeros(2, dtype="<c8"))
    np.save(out / "refused_structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
    np.save(out / "refused_pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "packages/tensor/fixtures"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
