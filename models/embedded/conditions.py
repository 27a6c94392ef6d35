"""Take conditions, groups and what frames a question out of its text."""

import re

from models.embedded.query import Cutter, Query
from models.embedded.words import COMPARED, COUNT_WORDS, END, HIGH, LEAD, LOW, NUMBER, SIGNS, WORDS


def take_frame(cutter: Cutter, query: Query, files: tuple[str, ...]) -> None:
    """Take what is not the question itself: files, rounding, units, the wish to join."""
    if found := cutter.cut(
        r",?\s*(?:and )?(?:\(?rounded?|round(?: it| the \w+)?|give(?: it)?)? ?(?:(?:to"
        r"|with|using|at) )(\d|one|two|three|four|no|zero) (?:decimal(?: place)?s?"
        r"|digits?)(?: after the \w+)?( each)?\)?"
    ):
        word = found[1].lower()
        query.digits = int(word) if word.isdigit() else COUNT_WORDS.get(word, 0)
    elif cutter.cut(r",?\s*rounded? (?:it )?to (?:the nearest )?(?:whole number|integer)s?"):
        query.digits = 0
    query.join = bool(
        cutter.cut(
            r"\b(?:join|combine|merge|match)(?:ing)? (?:the )?(?:two )?(?:files|tables)"
            r"?(?: on \w+)?"
        )
    )
    for name in sorted(files, key=len, reverse=True):
        stem = re.escape(name.rsplit("/", 1)[-1])
        while cutter.cut(
            rf"(?:\b(?:in|from|of|using|use|with|and|according to|for|to|on|read|open"
            rf"|look at) )?(?:the )?(?:(?:data )?file |table |data (?:in|of) )"
            rf"?['`]?(?:[\w./-]*/)?{stem}['`]?"
        ):
            continue
    while found := re.search(
        r"\b(?:except|excluding|without|other than|outside(?: of)?|(?:\w+n't|not)(?: in| from| of"
        r"| for| an?)?)(?: for)?(?: the)? (?=(?P<w>'[^']+'|[\w-]+))(?!than\b|above|below|equal)",
        cutter.text,
        re.IGNORECASE,
    ):
        query.excluded.append(found["w"].strip("'").lower())
        cutter.text = f"{cutter.text[: found.start()]}for {cutter.text[found.end() :]}"
    if found := cutter.cut(
        r"\b(?:measured |given |expressed )?in (euros?|dollars?|usd|eur|degrees?(?: "
        r"celsius)?|°c|celsius|km|kg|mm|cm|minutes|seconds|percent)(?=$|[ ?.,|])"
    ):
        query.unit = found[1]
        query.units.append(found[1])


def take_group(cutter: Cutter) -> str:
    """Take what the figures are asked for each of."""
    each = r"per|(?:for|in|of|on|at) (?:each|every)|each|every|(?:grouped|broken down|split) by"
    not_group = r"\b(?:top|sort(?:ed)?|order(?:ed)?|rank(?:ed)?|multiplied|divided)\b[^.]*\bby\b"
    if not re.search(rf"\b(?:{HIGH}|{LOW}) [^.]*\bby\b|{not_group}", cutter.text, re.IGNORECASE):
        each += r"|by(?! (?-i:[A-Z]))"
    found = cutter.cut(
        rf"\b(?:{each})(?! (?:the |most|least|its?\b|total|average|highest))(?: the)?"
        rf" (?P<g>day of the week|{WORDS}){END}"
    )
    return found["g"] if found else ""


def take_filters(cutter: Cutter, query: Query) -> None:
    """Take conditions that compare a column with a number."""
    unit = r"(?: ?(?P<u>°c|degrees|euros?|dollars?|kg|km|mm|%|percent|years(?: old)?)(?!\w))?"
    column = rf"(?P<c>(?:(?!{LEAD}\b)[^\s|,;:?!]+ ){{1,3}})"
    if found := cutter.cut(
        rf"(?:\b{LEAD} )*{column}(?:is |was |are |were |lies )?between "
        rf"(?P<a>{NUMBER}) and (?P<b>{NUMBER}){unit}"
    ):
        query.filters += [
            (found["c"].strip(), ">=", _plain(found["a"])),
            (found["c"].strip(), "<=", _plain(found["b"])),
        ]
        query.units.append(found["u"] or "")
    compared = "|".join(COMPARED)
    while found := cutter.cut(rf"\b(?P<w>{compared}) than (?P<v>{NUMBER}){unit}"):
        sign, name = COMPARED[found["w"].lower()]
        query.filters.append((name, sign, _plain(found["v"])))
        query.units.append(found["u"] or "")
    for sign, words in SIGNS.items():
        while found := cutter.cut(
            rf"(?:\b{LEAD} )*{column}(?:(?:is|was|are|were|of|has|have|had) )"
            rf"?(?:{words}) ?(?P<v>{NUMBER}){unit}(?! (?!and|or|in|on|for|per|by|from"
            rf"|at|each|where|with|did|do|were|was|are|is|have|has|had)[a-z])"
        ):
            query.filters.append((found["c"].strip(), sign, _plain(found["v"])))
            query.units.append(found["u"] or "")
        while found := cutter.cut(
            rf"(?:\b{LEAD} )*(?:{words}) (?P<v>{NUMBER}){unit}(?: of)? "
            rf"(?P<c>[a-z]+(?: [a-z]+)?){END}"
        ):
            query.filters.append((found["c"].strip(), sign, _plain(found["v"])))
            query.units.append(found["u"] or "")
    while found := cutter.cut(
        rf"\b(?:where|whose|with|and) (?:the |an? )?(?P<c>[\w ()-]+?) (?P<s>is not|is"
        rf"|equals|=|of|!=) (?P<v>'[^']+'|{NUMBER}(?![-\d])|(?-i:[A-Z])\w+)"
    ):
        sign = "!=" if found["s"] in {"is not", "!="} else "="
        query.filters.append((found["c"].strip(), sign, found["v"].strip("'")))


def _plain(number: str) -> str:
    return number.lstrip("$€£").replace(",", "")
