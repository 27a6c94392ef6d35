from pathlib import Path

import pytest

from tests.tools.conftest import MakeToolbox
from tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


async def test_an_answer_is_final_and_hands_over_its_files(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "report.md").write_text("# Report")

    outcome = await toolbox.call(
        "answer", {"text": "42 EUR", "artifacts": ["/work/report.md", "report.md"]}
    )

    assert outcome.ok
    assert outcome.final
    assert (outcome.text, outcome.artifacts) == ("42 EUR", ("report.md",))


async def test_an_answer_with_a_file_that_is_not_there_is_not_final(
    toolbox: Toolbox, workspace: Path
) -> None:
    (workspace / "report.md").write_text("# Report")

    outcome = await toolbox.call("answer", {"text": "42", "artifacts": ["reports.md"]})

    assert (outcome.error_class, outcome.final) == ("not_found", False)
    assert "did you mean 'report.md'" in outcome.text


async def test_an_answer_too_long_is_refused_rather_than_cut(make_toolbox: MakeToolbox) -> None:
    outcome = await make_toolbox(output_chars=500).call("answer", {"text": "x" * 501})

    assert outcome.error_class == "bad_arguments"
    assert "write the long part to a file" in outcome.text
