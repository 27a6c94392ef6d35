"""Cut a request into its questions, so that one program can answer all of them."""

import re
from dataclasses import replace

from models.embedded.query import Query, parse_query, take_output
from models.embedded.words import HIGH, LOW, OPS

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
