import pytest

from tools.base import ToolError
from tools.paths import matches_glob, workspace_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("a.csv", "a.csv"),
        ("./a.csv", "a.csv"),
        ("/work/data/a.csv", "data/a.csv"),
        ("/work", "."),
        ("data//a b.csv", "data/a b.csv"),
    ],
)
def test_a_path_is_taken_relative_to_the_workspace(given: str, meant: str) -> None:
    assert workspace_path(given) == meant


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "/work/../etc", "/workshop/a"]
)
def test_a_path_outside_the_workspace_is_against_the_policy(path: str) -> None:
    with pytest.raises(ToolError) as caught:
        workspace_path(path)
    assert caught.value.error_class == "policy"


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a.csv", "*.csv", True),
        ("data/a.csv", "*.csv", True),
        ("data/a.csv", "data/*.csv", True),
        ("data/x/a.csv", "data/*.csv", False),
        ("data/x/a.csv", "data/**/*.csv", True),
        ("data/a.csv", "data/**/*.csv", True),
        ("data/a.csv", "**/a.csv", True),
        ("a.csv", "**/a.csv", True),
        ("a.csv", "/work/*.csv", True),
        ("a/b/c", "a/**", True),
        ("b/c", "a/**", False),
        ("anything", "**", True),
        ("a" * 200, "a*" * 100 + "b", False),
        ("/".join("a" * 50), "/".join(["**"] * 60) + "/b", False),
    ],
)
def test_a_glob_is_about_the_name_or_with_a_slash_about_the_path(
    path: str, pattern: str, fits: bool
) -> None:
    assert matches_glob(path, pattern) is fits
