"""Build the ONNX graph of all-MiniLM-L6-v2 from its weights: no torch, no transformers.

BERT with 6 layers (arXiv 1810.04805, 2002.10957), then the mean over the tokens that are not
padding, then length 1. The positions come from a `Slice`: ONNX Runtime's fusion breaks on the
usual `Range` and `Gather`.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.embedders import onnx_writer as onnx

HIDDEN = 384
_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12
_OPSET = 18
_MASKED = -1e9

Weights = Mapping[str, npt.NDArray[np.float32]]


def build_minilm(weights: Weights) -> bytes:
    """Return an ONNX model from token ids to `embedding`, one unit row for each text."""
    graph = _Graph(weights)
    mask = graph.add("Cast", ["attention_mask"], "mask", to=onnx.FLOAT)
    bias = _attention_bias(graph, mask)
    hidden = _embeddings(graph)
    for number in range(_LAYERS):
        hidden = _layer(graph, hidden, bias, number)
    _pool(graph, hidden, mask)
    ids = ("input_ids", "attention_mask", "token_type_ids")
    return onnx.model(
        "minilm",
        graph.nodes,
        graph.tensors,
        [onnx.value(name, onnx.INT64, ("batch", "tokens")) for name in ids],
        [onnx.value("embedding", onnx.FLOAT, ("batch", HIDDEN))],
        opset=_OPSET,
    )


class _Graph:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[onnx.Pieces] = []
        self.tensors: list[onnx.Pieces] = []
        self._constants: set[str] = set()

    def add(self, op: str, inputs: list[str], name: str, **attributes: onnx.AttributeValue) -> str:
        self.nodes.append(onnx.node(op, inputs, name, **attributes))
        return name

    def floats(self, name: str, array: npt.ArrayLike) -> str:
        return self._constant(name, np.asarray(array, np.float32))

    def integers(self, name: str, *numbers: int) -> str:
        return self._constant(name, np.asarray(numbers, np.int64))

    def _constant(self, name: str, array: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> str:
        if name not in self._constants:
            self._constants.add(name)
            self.tensors.append(onnx.tensor(name, array))
        return name

    def weight(self, name: str) -> str:
        return self.floats(name, self.weights[name])

    def linear(self, hidden: str, prefix: str) -> str:
        matrix = self.floats(f"{prefix}.matrix", self.weights[f"{prefix}.weight"].T)
        product = self.add("MatMul", [hidden, matrix], f"{prefix}.product")
        return self.add("Add", [product, self.weight(f"{prefix}.bias")], f"{prefix}.out")

    def normalize(self, hidden: str, prefix: str) -> str:
        scale, shift = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.add(
            "LayerNormalization",
            [hidden, scale, shift],
            f"{prefix}.out",
            axis=-1,
            epsilon=_EPSILON,
        )


def _attention_bias(graph: _Graph, mask: str) -> str:
    """Return 0 for a token and a large negative number for padding."""
    wide = graph.add("Unsqueeze", [mask, graph.integers("axes_1_2", 1, 2)], "mask.wide")
    padding = graph.add("Sub", [graph.floats("one", 1.0), wide], "mask.padding")
    return graph.add("Mul", [padding, graph.floats("masked", _MASKED)], "mask.bias")


def _embeddings(graph: _Graph) -> str:
    prefix = "embeddings"
    shape = graph.add("Shape", ["input_ids"], "shape")
    one = graph.integers("one_1d", 1)
    length = graph.add("Slice", [shape, one, graph.integers("two_1d", 2)], "length")
    positions = graph.add(
        "Slice",
        [
            graph.weight(f"{prefix}.position_embeddings.weight"),
            graph.integers("zero_1d", 0),
            length,
            graph.integers("axis_0", 0),
        ],
        "positions",
    )
    words = graph.weight(f"{prefix}.word_embeddings.weight")
    types = graph.weight(f"{prefix}.token_type_embeddings.weight")
    word = graph.add("Gather", [words, "input_ids"], "words", axis=0)
    kind = graph.add("Gather", [types, "token_type_ids"], "types", axis=0)
    tokens = graph.add("Add", [word, kind], "tokens")
    placed = graph.add("Add", [tokens, positions], "placed")
    return graph.normalize(placed, f"{prefix}.LayerNorm")


def _layer(graph: _Graph, hidden: str, bias: str, number: int) -> str:
    prefix = f"encoder.layer.{number}"
    attended = _attention(graph, hidden, bias, prefix)
    output = graph.linear(attended, f"{prefix}.attention.output.dense")
    summed = graph.add("Add", [output, hidden], f"{prefix}.attention.sum")
    hidden = graph.normalize(summed, f"{prefix}.attention.output.LayerNorm")
    inner = _gelu(graph, graph.linear(hidden, f"{prefix}.intermediate.dense"))
    output = graph.linear(inner, f"{prefix}.output.dense")
    summed = graph.add("Add", [output, hidden], f"{prefix}.sum")
    return graph.normalize(summed, f"{prefix}.output.LayerNorm")


def _attention(graph: _Graph, hidden: str, bias: str, prefix: str) -> str:
    split = graph.integers("split_heads", 0, 0, _HEADS, HIDDEN // _HEADS)
    heads: dict[str, str] = {}
    for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3))):
        name = f"{prefix}.attention.self.{part}"
        rows = graph.add("Reshape", [graph.linear(hidden, name), split], f"{name}.rows")
        heads[part] = graph.add("Transpose", [rows], f"{name}.heads", perm=order)
    name = f"{prefix}.attention"
    raw = graph.add("MatMul", [heads["query"], heads["key"]], f"{name}.raw")
    scale = graph.floats("scale", 1 / np.sqrt(HIDDEN // _HEADS))
    scaled = graph.add("Mul", [raw, scale], f"{name}.scaled")
    masked = graph.add("Add", [scaled, bias], f"{name}.masked")
    shares = graph.add("Softmax", [masked], f"{name}.shares", axis=-1)
    mixed = graph.add("MatMul", [shares, heads["value"]], f"{name}.mixed")
    back = graph.add("Transpose", [mixed], f"{name}.back", perm=(0, 2, 1, 3))
    return graph.add("Reshape", [back, graph.integers("join_heads", 0, 0, HIDDEN)], f"{name}.out")


def _gelu(graph: _Graph, inner: str) -> str:
    """Return x/2 * (1 + erf(x / sqrt 2))."""
    root = graph.add("Div", [inner, graph.floats("sqrt_2", np.sqrt(2))], f"{inner}.root")
    error = graph.add("Erf", [root], f"{inner}.erf")
    gate = graph.add("Add", [error, graph.floats("one", 1.0)], f"{inner}.gate")
    half = graph.add("Mul", [inner, graph.floats("half", 0.5)], f"{inner}.half")
    return graph.add("Mul", [half, gate], f"{inner}.gelu")


def _pool(graph: _Graph, hidden: str, mask: str) -> None:
    """Average over the tokens and scale to length 1."""
    last, second = graph.integers("axis_last", -1), graph.integers("axis_1", 1)
    column = graph.add("Unsqueeze", [mask, last], "mask.column")
    kept = graph.add("Mul", [hidden, column], "kept")
    total = graph.add("ReduceSum", [kept, second], "total", keepdims=0)
    count = graph.add("ReduceSum", [column, second], "count", keepdims=0)
    mean = graph.add("Div", [total, count], "mean")
    length = graph.add("ReduceL2", [mean, last], "norm", keepdims=1)
    graph.add("Div", [mean, length], "embedding")
