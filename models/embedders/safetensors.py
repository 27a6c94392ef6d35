"""Read the float arrays of a safetensors file: a length, a JSON header, raw bytes."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

_LENGTH_BYTES = 8
_FLOAT_BYTES = 4


def read_floats(data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return every `F32` array of the file by name, without copying it.

    Raises:
        ValueError: the bytes are not a safetensors file.
    """
    start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    if start > len(data):
        msg = f"expected a safetensors header of {start} bytes, got a file of {len(data)}"
        raise ValueError(msg)
    header: dict[str, dict[str, Any]] = json.loads(data[_LENGTH_BYTES:start])
    header.pop("__metadata__", None)
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            count = (end - begin) // _FLOAT_BYTES
            flat = np.frombuffer(data, "<f4", count, offset=start + begin)
            arrays[name] = flat.reshape(entry["shape"])
    return arrays
