"""Parse a question about tables into a small typed query, before the table is seen.

Each pattern is cut out of the text once it is understood; what remains in `rest` has to be
explained by the table's own columns and values, or the program in the sandbox refuses.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from models.embedded.times import take_times
from models.embedded.words import (
    ADJECTIVES,
    ASKED,
    COMPARED,
    COUNT_WORDS,
    END,
    HIGH,
    LEAD,
    LEFT,
    LOW,
    NUMBER,
    OPS,
    PERIODS,
    REWORDED,
    SIGNS,
    WORDS,
)


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


class _Cutter:
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


def parse_query(text: str, files: tuple[str, ...]) -> Query | None:
    """Return the query that a question amounts to, or None when no pattern fits."""
    query = Query()
    text, query.output = take_output(" ".join(text.replace("\u2019", "'").split()), files)
    for pattern, instead in REWORDED:
        text = re.sub(pattern, instead, text, count=1, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[\w)]) ?[*\u00d7] ?(?=[A-Za-z_])", " times ", text)
    text = re.sub(r"[\"`“”](?=\S)([^\"`“”]+)[\"`“”]", r"'\1'", text)
    cutter = _Cutter(text[:1].lower() + text[1:] if text[1:2].islower() else text)
    _take_frame(cutter, query, files)
    group = _take_group(cutter)
    times = take_times(cutter.cut)
    query.periods, query.parts = times.periods, times.parts
    _take_filters(cutter, query)
    query.group = query.group or group
    understood = any(
        take(cutter, query)
        for take in (_take_sort, _take_top, _take_which, _take_measures, _take_values)
    )
    if group and query.group != group:
        return None
    if re.search(r"[^\W\d]{2} ?[/÷+] ?[^\W\d]{2}|\w - \w", f"{query.target} {query.times}"):
        return None
    if query.group.lower() in PERIODS:
        query.group = PERIODS[query.group.lower()]
    query.rest = cutter.text.strip()
    return query if understood and not LEFT.search(query.rest) else None


def _take_frame(cutter: _Cutter, query: Query, files: tuple[str, ...]) -> None:
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


def _take_group(cutter: _Cutter) -> str:
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


def _take_filters(cutter: _Cutter, query: Query) -> None:
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


def _amount(word: str | None) -> int:
    word = (word or "").lower()
    return int(word) if word.isdigit() else COUNT_WORDS.get(word, 0)


def _take_sort(cutter: _Cutter, query: Query) -> bool:
    """Take the wish to see rows in order."""
    found = cutter.cut(
        rf"\b(?:sort(?:ed)?|order(?:ed)?|rank(?:ed)?)(?: (?:all )?(?:the |it |them "
        rf"|this )?(?:rows|records|entries|data|table|file|products|items|\w+)?)?[ "
        rf"|]*by (?P<c>{WORDS})"
        r"(?:,? ?\(?(?:in )?(?P<o>descending|ascending|decreasing|increasing|from "
        r"(?:highest|high|largest|newest)|from (?:lowest|low|smallest|oldest)"
        r"|(?:highest|largest) first|(?:lowest|smallest) first)(?: order| to \w+)?\)?)"
        r"?(?=$|[|,.;?!]| and| in|\s*$)"
    )
    if not found:
        return False
    order = found["o"] or ""
    query.sort = (
        "highest"
        if re.search(r"desc|decr|high|larg|newest", order) and "low" not in order[:9]
        else "lowest"
    )
    query.sort_by = found["c"].removeprefix("the ")
    if query.group or re.search(
        r"\b(?:total|average|mean|how many|number of|count)\b", cutter.text
    ):
        query.sort_by = ""
        return False
    query.ops = ["rows"]
    top = cutter.cut(r"\b(?:the )?(?:first|top) (\w+)(?: rows)?")
    query.limit = _amount(top[1]) if top else 0
    cutter.cut(r"\b(?:show|list|give|print|return)\b(?: me)?(?: all)?(?: the)?(?: \w+)?")
    return True


def _take_top(cutter: _Cutter, query: Query) -> bool:
    """Take `the top 3 X by Y`, `the 3 X with the highest Y`, `the 5 largest X by Y`."""
    count = r"(?P<n>\d+|two|three|four|five|six|seven|eight|nine|ten)"
    by = (
        rf"(?:by|in|according to|with (?:the )?(?:{HIGH}|{LOW}))"
        rf" (?:the |their )?(?P<t>{WORDS}){END}"
    )
    for words, pick in ((HIGH, "highest"), (rf"bottom|{LOW}", "lowest")):
        for pattern in (
            rf"\b(?:the )?(?:{words}) {count} (?P<g>{WORDS}) {by}",
            rf"\b(?:the )?{count} (?:{words}) (?P<g>{WORDS}) {by}",
            rf"\b(?:the )?{count} (?P<g>{WORDS}) (?:with|that have|having) the"
            rf" (?:{words}) (?P<t>{WORDS}){END}",
        ):
            if found := cutter.cut(pattern):
                query.pick, query.group = pick, found["g"]
                query.limit = _amount(found["n"])
                query.most = bool(re.search(r"\b(?:most|fewest|least)\b", found[0], re.IGNORECASE))
                _take_target(query, found["t"])
                return True
    found = cutter.cut(rf"\b(?:the )?{count} (?P<a>{'|'.join(ADJECTIVES)}) (?P<g>{WORDS}){END}")
    if found:
        query.pick, query.target = ADJECTIVES[found["a"].lower()]
        query.ops, query.group, query.limit = ["auto"], found["g"], _amount(found["n"])
    return found is not None


def _take_target(query: Query, phrase: str) -> None:
    """Set measure and column from a phrase such as `total sales` or `average price`."""
    query.ops = ["auto"]
    for op, words in OPS.items():
        if op in {"mean", "median", "sum", "stdev"} and (
            found := re.match(rf"(?:{words})(?: of)? (.+)", phrase, re.IGNORECASE)
        ):
            query.ops, phrase = [op], found[1]
    if found := re.match(r"number of (.+)", phrase, re.IGNORECASE):
        query.ops, phrase, query.most = ["howmany"], found[1], True
    if product := re.match(r"(.+?) (?:times|multiplied by|x|\u00d7|\*) (.+)", phrase):
        phrase, query.times = product[1], product[2]
    query.target = phrase


def _take_which(cutter: _Cutter, query: Query) -> bool:
    """Take `which X has the highest Y`, `who sold the most Y`, `when was the highest Y`."""
    adjectives = "|".join(ADJECTIVES)
    subject = (
        rf"\b(?:(?:in |on |at |for )?(?:which|what)(?: of the)?(?! (?:is|are|was|were)\b) "
        rf"(?P<g>(?:(?:\d+|two|three|four|five) )?{WORDS})|(?P<who>who|when|where))"
    )
    if found := cutter.cut(rf"{subject} (?:is|are|was|were) (?:the )?(?P<a>{adjectives})\b"):
        query.pick, query.target = ADJECTIVES[found["a"].lower()]
        query.ops = ["auto"]
    else:
        found = cutter.cut(
            rf"{subject} (?:(?:[a-z|]+ )*?)(?:the )?(?:(?P<hi>{HIGH})|(?P<lo>{LOW}))"
            rf"(?: (?!(?:in|on|at|for|from|of|among|during|by|with)\b)(?P<t>{WORDS}))?{END}"
        )
        if not found:
            return False
        query.pick = "highest" if found["hi"] else "lowest"
        query.most = (found["hi"] or found["lo"]).lower() in {"most", "fewest", "least"}
        words = found["t"] or ""
        if not words and (
            tail := re.search(
                rf"(?P<t>\b(?:average|mean|total|median) (?!(?:{HIGH}|{LOW})\b){WORDS}){END}",
                found[0],
            )
        ):
            words = tail["t"]
        _take_target(query, words)
        if not words and (
            tail := cutter.cut(rf"\b(?:average|mean|total|median) (?P<t>{WORDS}){END}")
        ):
            _take_target(query, tail[0].strip())
        if middle := re.search(
            (
                rf"\b(?P<op>average|mean|total|median) (?P<t>{WORDS}) (?:was |is )?(?:the "
                rf")?(?:{HIGH}|{LOW})$"
            ),
            found[0].strip(),
            re.IGNORECASE,
        ):
            _take_target(query, f"{middle['op']} {middle['t']}")
        elif not words and (
            middle := re.search(
                rf"\b(?:was|is|were|had|did) (?:the )?(?P<t>{WORDS}) (?:the )?(?:{HIGH}|{LOW})$",
                found[0].strip(),
            )
        ):
            _take_target(query, middle["t"])
    if not query.target:
        verb = re.search(r"([a-z]+?)s? (?:the )?\w+$", found[0].strip())
        query.target = verb[1] if verb else ""
    who = (found["who"] or "").lower()
    query.group = {"who": "name", "when": "@when", "where": "location"}.get(who) or found["g"]
    counted = re.match(r"(\d+|two|three|four|five|six|seven|eight|nine|ten) (.+)", query.group)
    if counted:
        query.limit, query.group = _amount(counted[1]), counted[2]
    query.limit = query.limit or 1
    return True


def _take_measures(cutter: _Cutter, query: Query) -> bool:
    """Take one or several measures of one column, or a count, or a share."""
    if cutter.cut(
        r"\b(?:what )?(?:percentage|percent|share|proportion|fraction|part)\b(?: of)"
        r"?(?: all)?(?: the)?"
    ):
        query.ops = ["share"]
        target = cutter.cut(rf"(?<=\| )(?P<t>{WORDS}){END}")
        query.target = target["t"] if target else ""
        return True
    if found := cutter.cut(
        rf"\b(?:how many|(?:the )?(?:number|count) of|count(?: up)?)(?: the| all)"
        rf"?(?P<d> (?:different|distinct|unique))?(?: (?P<t>{WORDS}){END})?"
    ):
        query.ops = ["distinct" if found["d"] else "howmany"]
        query.target = found["t"] or ""
        return True
    every = "|".join(f"(?:{words})" for words in OPS.values())
    found = cutter.cut(
        rf"\b(?P<ops>(?:{every})(?:(?:,? and (?:the )?|, (?:the )?)(?:{every}))*)(?: "
        rf"(?:value|amount|reading)s?)?(?: of)?(?: all)?(?: the)? (?P<t>(?:(?:total"
        rf"|daily|hourly|monthly) )?{WORDS}(?: (?:times|multiplied by|\u00d7|\*) "
        rf"{WORDS})?){END}"
    )
    if not found:
        found = cutter.cut(rf"\bhow much (?!is\b|does\b)(?P<t>{WORDS}){END}")
        if not found:
            return _take_adjective(cutter, query)
        query.ops, words = ["sum"], found["t"]
    else:
        words = found["t"]
        spotted = [
            (m.start(), op)
            for op, w in OPS.items()
            for m in re.finditer(rf"\b(?:{w})\b", found["ops"], re.IGNORECASE)
        ]
        query.ops = [op for _, op in sorted(spotted)]
    if product := re.match(r"(.+?) (?:times|multiplied by|x|\u00d7|\*) (.+)", words):
        words, query.times = product[1], product[2]
    query.target = words
    if second := cutter.cut(r"^\s*\|?\s*(?:times|multiplied by|\u00d7|\*) (\w+)"):
        query.times = second[1]
    return True


def _take_adjective(cutter: _Cutter, query: Query) -> bool:
    """Take `the cheapest X`, `the hottest day`."""
    found = cutter.cut(rf"\b(?P<a>{'|'.join(ADJECTIVES)}) (?P<g>{WORDS}){END}")
    if not found:
        return False
    query.pick, query.target = ADJECTIVES[found["a"].lower()]
    query.ops, query.group, query.limit = ["auto"], found["g"], 1
    return True


def _take_values(cutter: _Cutter, query: Query) -> bool:
    """Take the wish to see values or rows as they are."""
    if cutter.cut(
        r"\b(?:list|show|give|print|find|select|return|extract|keep|filter)\b(?: me)"
        r"?(?: all)?(?: of)?(?: the)? (?:rows|records|entries|lines)\b"
    ):
        query.ops = ["rows"]
        return True
    if found := cutter.cut(rf"\bhow (?P<a>{'|'.join(ASKED)})(?: (?:is|was|are))?\b"):
        query.ops, query.target = ["value"], ASKED[found["a"].lower()]
        return True
    found = cutter.cut(
        rf"\b(?:(?:which|what)(?! (?:is|are|was|were)\b)|(?:what|which) (?:is|are|was"
        rf"|were)(?: the)?|list|show|give|tell|look up|find)(?: me)?(?: all)?(?: the)"
        rf"?(?: (?:different|distinct|unique))? (?P<t>{WORDS}){END}"
    )
    if found:
        query.ops, query.target = ["value"], found["t"]
    return found is not None
