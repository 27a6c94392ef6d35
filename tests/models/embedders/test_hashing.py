import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.embedders.hashing import HashingEmbedder

pytestmark = pytest.mark.anyio


@given(texts=st.lists(st.text(max_size=60), max_size=5))
async def test_every_text_gets_the_same_unit_vector_each_time(texts: list[str]) -> None:
    first, second = await HashingEmbedder(64).embed(texts), await HashingEmbedder(64).embed(texts)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)


async def test_shared_words_bring_texts_nearer() -> None:
    a, b, c = await HashingEmbedder().embed(["read the table", "the table", "send mail"])
    assert a @ b > a @ c
