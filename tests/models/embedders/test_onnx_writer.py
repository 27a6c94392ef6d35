from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.embedders import onnx_writer as onnx
from models.embedders.safetensors import read_floats

ort: Any = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@given(
    array=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 300)),
        elements=st.floats(-9, 9, width=32),
    )
)
def test_the_runtime_reads_what_is_written(array: npt.NDArray[np.float32]) -> None:
    model = onnx.model(
        "sum",
        [onnx.node("Add", ["x", "c"], "y"), onnx.node("Transpose", ["y"], "z", perm=(1, 0))],
        [onnx.tensor("c", array)],
        [onnx.value("x", onnx.FLOAT, ("rows", array.shape[1]))],
        [onnx.value("z", onnx.FLOAT, (array.shape[1], "rows"))],
        opset=18,
    )
    [out] = ort.InferenceSession(model).run(["z"], {"x": np.ones_like(array)})
    np.testing.assert_allclose(out, (array + 1).T)


def test_negative_and_float_attributes_survive() -> None:
    model = onnx.model(
        "norm",
        [
            onnx.node("LayerNormalization", ["x", "s"], "n", axis=-1, epsilon=1e-12),
            onnx.node("Softmax", ["n"], "y", axis=-1),
        ],
        [onnx.tensor("s", np.ones(3, np.float32))],
        [onnx.value("x", onnx.FLOAT, ("rows", 3))],
        [onnx.value("y", onnx.FLOAT, ("rows", 3))],
        opset=18,
    )
    [out] = ort.InferenceSession(model).run(["y"], {"x": np.array([[1, 2, 3]], np.float32)})
    assert out.sum() == pytest.approx(1)


def test_bytes_that_are_no_safetensors_file_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a safetensors header"):
        read_floats(b"\xff" * 16)
