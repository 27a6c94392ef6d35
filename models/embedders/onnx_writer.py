"""Write the little of ONNX's protobuf that a transformer needs.

A model file is nested records of tagged fields; the numbers below are those of `onnx.proto`.
Forty lines here save the `onnx` package, which nothing else would use.
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

FLOAT = 1
INT64 = 7
_IR_VERSION = 9
_ELEMENT_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}

AttributeValue = int | float | Sequence[int]
Pieces = list[bytes | memoryview]
"""A record in parts, joined only once: the weights are 90 MB."""


def node(op: str, inputs: Sequence[str], output: str, **attributes: AttributeValue) -> Pieces:
    """Return a NodeProto with one output, named like it."""
    return [
        *(_text(1, name) for name in inputs),
        _text(2, output),
        _text(3, output),
        _text(4, op),
        *(
            piece
            for name, value in attributes.items()
            for piece in _record(5, [_attribute(name, value)])
        ),
    ]


def tensor(name: str, array: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> Pieces:
    """Return a TensorProto that holds `array`."""
    raw = np.ascontiguousarray(array).reshape(-1).data.cast("B")
    return [
        *(_integer(1, size) for size in array.shape),
        _integer(2, _ELEMENT_TYPES[array.dtype]),
        _text(8, name),
        *_record(9, [raw]),
    ]


def value(name: str, element_type: int, shape: Sequence[str | int]) -> Pieces:
    """Return a ValueInfoProto; a dimension given by name is free."""
    dimensions = [
        piece
        for size in shape
        for piece in _record(1, [_text(2, size) if isinstance(size, str) else _integer(1, size)])
    ]
    tensor_type = [_integer(1, element_type), *_record(2, dimensions)]
    return [_text(1, name), *_record(2, _record(1, tensor_type))]


def model(
    name: str,
    nodes: Iterable[Pieces],
    tensors: Iterable[Pieces],
    inputs: Iterable[Pieces],
    outputs: Iterable[Pieces],
    *,
    opset: int,
) -> bytes:
    """Return a ModelProto: a whole file."""
    parts = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    graph: Pieces = [_text(2, name)]
    for field, items in parts:
        for item in items:
            graph.extend(_record(field, item))
    operator_set = [_text(1, ""), _integer(2, opset)]
    return b"".join([_integer(1, _IR_VERSION), *_record(7, graph), *_record(8, operator_set)])


def _attribute(name: str, value: AttributeValue) -> bytes:
    match value:
        case float():
            return _text(1, name) + _tag(2, 5) + struct.pack("<f", value) + _integer(20, 1)
        case int():
            return _text(1, name) + _integer(3, value) + _integer(20, 2)
        case _:
            items = b"".join(_integer(8, item) for item in value)
            return _text(1, name) + items + _integer(20, 7)


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _integer(field: int, number: int) -> bytes:
    return _tag(field, 0) + _varint(number)


def _text(field: int, text: str) -> bytes:
    payload = text.encode()
    return _tag(field, 2) + _varint(len(payload)) + payload


def _record(field: int, pieces: Sequence[bytes | memoryview]) -> Pieces:
    return [_tag(field, 2) + _varint(sum(len(piece) for piece in pieces)), *pieces]
