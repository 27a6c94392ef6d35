"""What a question asks of a table, and a text out of which it is cut piece by piece."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Query:
    """What a question asks of a table, in the question's own words."""

    ops: list[str] = field(default_factory=list[str])
    target: str = ""
    times: str = ""
    group: str = ""
    pick: str = ""
    most: bool = False
    limit: int = 0
    sort: str = ""
    sort_by: str = ""
    filters: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    periods: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    parts: list[tuple[str, list[int]]] = field(default_factory=list[tuple[str, list[int]]])
    excluded: list[str] = field(default_factory=list[str])
    join: bool = False
    digits: int | None = None
    unit: str = ""
    units: list[str] = field(default_factory=list[str])
    """Units that are said beside figures; they have to be those of the columns."""
    output: str = ""
    elliptic: bool = False
    """Whether it is no whole question and shares its conditions with the one before."""
    rest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the query as the program in the sandbox takes it."""
        return asdict(self)


class Cutter:
    """A text out of which understood pieces are cut."""

    def __init__(self, text: str) -> None:
        self.text = text

    def cut(self, pattern: str) -> "re.Match[str] | None":
        """Replace the first match by a bar and return it."""
        found = re.search(pattern, self.text, re.IGNORECASE)
        if found:
            self.text = f"{self.text[: found.start()]} | {self.text[found.end() :]}"
            self.text = re.sub(r"[ \t]+", " ", self.text)
        return found


def take_output(text: str, known: tuple[str, ...]) -> tuple[str, str]:
    """Return the text without the wish to write a file, and that file's name."""
    for name in re.findall(r"[\w./-]+\.(?:md|csv|tsv|txt|json|html)\b", text):
        asked = (
            rf"\b(?:write|save|store|put|export|output|create|make|produce|report)"
            rf"\b(?=.*?{re.escape(name)})"
        )
        if name not in known and re.search(asked, text, re.IGNORECASE):
            pattern = (
                rf"(?:,?\s*(?:and|then)\s+)?(?:(?:in)?to|into|in|as|called|named)"
                rf"?\s*(?:an? |the )?(?:new )?(?:\w+ )?(?:file |report )?(?:called |named "
                rf"|in )?[`'\"]?{re.escape(name)}[`'\"]?(?: with(?! the same))?"
            )
            text = re.sub(pattern, " ", text, count=1, flags=re.IGNORECASE)
            verb = (
                r"(?:,?\s*(?:and|then)\s+)*\b(?:write|save|store|put|export|output|create"
                r"|make|produce)\b(?: (?:it|them|this|that|both|all|everything)\b| (?:both |all )?"
                r"(?:the |these )?(?:results?|table|answers?|list|figures|values)\b)*"
            )
            return re.sub(verb, " ", text, count=1, flags=re.IGNORECASE).strip(), name
    return text, ""
