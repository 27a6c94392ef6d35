"""Let every backend sit its exam, and write what they cover and what held into the page.

python -m benchmarks.sandbox_exam            # some minutes; STROP_DOCKER_HOST and so on count
python -m benchmarks.sandbox_exam --texts    # at once: only what the backends say of themselves
"""

import asyncio
import re
import sys
from inspect import cleandoc
from pathlib import Path

from app.cli.exam_progress import progress_for
from app.cli.sandbox_exam import as_markdown, every_candidate, examine
from app.settings import load_settings
from sandboxes.base import discover

PAGE = Path(__file__).parents[1] / "docs" / "sandboxes.md"


def described() -> str:
    """Return what each backend says about itself, as Markdown."""
    texts: list[str] = []
    for name, factory in sorted(discover().items()):
        said = cleandoc(sys.modules[factory.__module__].__doc__ or "")
        texts.append(f"### {name}\n\n{said}")
    return "\n\n".join(texts)


def filled(page: str, marker: str, text: str) -> str:
    """Return the page with `text` between the marks."""
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    return re.sub(pattern, lambda found: f"{found[1]}{text}\n{found[2]}", page, flags=re.DOTALL)


async def examined() -> str:
    """Let everyone sit the exam, one backend after the other."""
    progress = progress_for(lines=False)
    candidates = await every_candidate(load_settings().sandbox_options())
    sheets = [await examine(candidate, progress) for candidate in candidates]
    for sheet in sheets:
        print(sheet.summary())
    return as_markdown(sheets)


def main() -> None:
    """Write both parts, or only the first."""
    page = filled(PAGE.read_text(encoding="utf-8"), "backends", described())
    if "--texts" not in sys.argv[1:]:
        page = filled(page, "exam", asyncio.run(examined()))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
