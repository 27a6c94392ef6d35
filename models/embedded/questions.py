"""Parse a request into small typed queries, before the table is seen.

Each pattern is cut out of the text once it is understood; what remains in `rest` has to be
explained by the table's own columns and values, or the program in the sandbox refuses.
"""

import re
from dataclasses import replace

from models.embedded import measures
from models.embedded.conditions import take_filters, take_frame, take_group
from models.embedded.query import Cutter, Query, take_output
from models.embedded.times import take_times
from models.embedded.words import HIGH, LEFT, LOW, OPS, PERIODS, REWORDED

_MEASURE = "|".join(OPS.values())
_CUT = re.compile(
    r"(?:[?.;]\s+(?:and\s+)?|,?\s+and\s+)(?:also\s+)?(?=(?:(?:on|in|at|for|during) )?"
    r"(?:what|which|how (?:many|much)|who|when|where)\b)"
    r"|,?\s+and\s+(?=(?:also )?(?:the \w+ (?:with|that ha[sd]|on which|when) the"
    rf" (?:{HIGH}|{LOW})|(?:the )?(?:{_MEASURE}|number|share|percentage)\b))",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"^(?:(?:find|give|tell|show|what (?:is|was)|determine|report)(?: me)? )?(?:also )?the (\w+)"
    rf" (?:with|that ha[sd]|having) (?=the (?:{HIGH}|{LOW})\b)",
    re.IGNORECASE,
)
_AGAIN = re.compile(rf"(?:the )?(?:(?P<op>{_MEASURE})|it|this|that|)", re.IGNORECASE)


def parse_query(text: str, files: tuple[str, ...]) -> Query | None:
    """Return the query that a question amounts to, or None when no pattern fits."""
    query = Query()
    text, query.output = take_output(" ".join(text.replace("\u2019", "'").split()), files)
    for pattern, instead in REWORDED:
        text = re.sub(pattern, instead, text, count=1, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[\w)]) ?[*\u00d7] ?(?=[A-Za-z_])", " times ", text)
    text = re.sub(r"[\"`“”](?=\S)([^\"`“”]+)[\"`“”]", r"'\1'", text)
    cutter = Cutter(text[:1].lower() + text[1:] if text[1:2].islower() else text)
    take_frame(cutter, query, files)
    group = take_group(cutter)
    times = take_times(cutter.cut)
    query.periods, query.parts = times.periods, times.parts
    take_filters(cutter, query)
    query.group = query.group or group
    takes = (
        measures.take_sort,
        measures.take_top,
        measures.take_which,
        measures.take_measures,
        measures.take_values,
    )
    understood = any(take(cutter, query) for take in takes)
    if group and query.group != group:
        return None
    if re.search(r"[^\W\d]{2} ?[/÷+] ?[^\W\d]{2}|\w - \w", f"{query.target} {query.times}"):
        return None
    if query.group.lower() in PERIODS:
        query.group = PERIODS[query.group.lower()]
    query.rest = cutter.text.strip()
    return query if understood and not LEFT.search(query.rest) else None


def parse_queries(text: str, files: tuple[str, ...]) -> tuple[Query, ...]:
    """Return what a request asks, question by question; nothing when a part is not understood."""
    bare, output = take_output(" ".join(text.split()), files)
    pieces = _pieces(bare)
    found: list[Query] = []
    for n, piece in enumerate(pieces):
        query = parse_query(_plainly(piece), files)
        if query is None:
            break
        query.elliptic = n > 0 and not re.match(
            r"(?:\w+ )?(?:what|which|how|who|when|where)\b", piece, re.IGNORECASE
        )
        found.append(_completed(query, found[-1] if found else None))
    whole = len(found) == len(pieces) and all(q.target or q.ops == ["howmany"] for q in found)
    if len(pieces) == 1 or not whole:
        query = parse_query(_plainly(text), files)
        return (query,) if query and not _CUT.search(query.rest) else ()
    digits = next((query.digits for query in found if query.digits is not None), None)
    return tuple(replace(query, digits=digits, output=output) for query in found)


def _pieces(text: str) -> list[str]:
    pieces = [piece.strip(" ,;") for piece in _CUT.split(text)]
    again = r"(?:and )?what (?:is|was) (?:it|that|its value|that value|the value)[?.]*|\W*"
    return [piece for piece in pieces if not re.fullmatch(again, piece, re.IGNORECASE)]


def _plainly(piece: str) -> str:
    piece = _DAY.sub(r"which \1 has ", piece)
    if re.search(rf"\b(?:{HIGH}|{LOW})\b", piece, re.IGNORECASE):
        piece = re.sub(rf"\b(?:daily|monthly|yearly|hourly) (?={_MEASURE})", "", piece)
    return piece


def _completed(query: Query, before: Query | None) -> Query:
    """Return a query whose unsaid column is that of the question before."""
    again = _AGAIN.fullmatch(query.target)
    if before is None or not again or query.ops == ["howmany"]:
        return query
    ops = query.ops
    if again["op"]:
        ops = [
            name for name, words in OPS.items() if re.fullmatch(words, again["op"], re.IGNORECASE)
        ]
    elif ops == ["auto"]:
        ops = before.ops
    return replace(query, ops=ops, target=before.target, times=before.times)
