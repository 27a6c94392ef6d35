from pathlib import Path

import numpy as np
import pytest

from models.embedders.auto import choose_embedder
from models.embedders.minilm import MiniLMEmbedder, WeightsError, find_weights

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    folder = find_weights()
    if folder is None:
        pytest.skip(choose_embedder("minilm").reason)
    return MiniLMEmbedder(folder)


async def test_sentences_that_mean_the_same_are_nearer_than_others(
    embedder: MiniLMEmbedder,
) -> None:
    cat, feline, money = await embedder.embed(
        ["A cat sits on the mat.", "A feline rests on a rug.", "Quarterly revenue rose 5%."]
    )
    # Upstream gives 0.57 for the first pair with these weights.
    assert cat @ feline == pytest.approx(0.574, abs=0.01)
    assert abs(cat @ money) < 0.1
    assert cat @ feline > feline @ money


async def test_rows_are_unit_vectors_and_do_not_depend_on_their_batch(
    embedder: MiniLMEmbedder,
) -> None:
    texts = ["short", "a much longer text about reading a table with a header row", ""]
    together = await embedder.embed(texts)
    alone = np.concatenate([await embedder.embed([text]) for text in texts])
    assert together.shape == (3, embedder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-5)


async def test_a_text_longer_than_the_model_reads_is_cut(embedder: MiniLMEmbedder) -> None:
    whole, more = await embedder.embed(["word " * 300, "word " * 3000])
    np.testing.assert_allclose(whole, more, atol=1e-5)


async def test_no_text_gives_no_row(embedder: MiniLMEmbedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dim)


async def test_weights_that_are_not_the_known_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"evil")
    with pytest.raises(WeightsError, match=r"tokenizer\.json has the SHA-256"):
        await MiniLMEmbedder(tmp_path).embed(["text"])


async def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read 'tokenizer\.json'"):
        await MiniLMEmbedder(tmp_path / "nowhere").embed(["text"])
