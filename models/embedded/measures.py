"""Take what is asked for out of a question: measures, picks, orders, values."""

import re

from models.embedded.query import Cutter, Query
from models.embedded.words import ADJECTIVES, ASKED, COUNT_WORDS, END, HIGH, LOW, OPS, WORDS


def _amount(word: str | None) -> int:
    word = (word or "").lower()
    return int(word) if word.isdigit() else COUNT_WORDS.get(word, 0)


def take_sort(cutter: Cutter, query: Query) -> bool:
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


def take_top(cutter: Cutter, query: Query) -> bool:
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
                take_target(query, found["t"])
                return True
    found = cutter.cut(rf"\b(?:the )?{count} (?P<a>{'|'.join(ADJECTIVES)}) (?P<g>{WORDS}){END}")
    if found:
        query.pick, query.target = ADJECTIVES[found["a"].lower()]
        query.ops, query.group, query.limit = ["auto"], found["g"], _amount(found["n"])
    return found is not None


def take_target(query: Query, phrase: str) -> None:
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


def take_which(cutter: Cutter, query: Query) -> bool:
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
        take_target(query, words)
        if not words and (
            tail := cutter.cut(rf"\b(?:average|mean|total|median) (?P<t>{WORDS}){END}")
        ):
            take_target(query, tail[0].strip())
        if middle := re.search(
            (
                rf"\b(?P<op>average|mean|total|median) (?P<t>{WORDS}) (?:was |is )?(?:the "
                rf")?(?:{HIGH}|{LOW})$"
            ),
            found[0].strip(),
            re.IGNORECASE,
        ):
            take_target(query, f"{middle['op']} {middle['t']}")
        elif not words and (
            middle := re.search(
                rf"\b(?:was|is|were|had|did) (?:the )?(?P<t>{WORDS}) (?:the )?(?:{HIGH}|{LOW})$",
                found[0].strip(),
            )
        ):
            take_target(query, middle["t"])
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


def take_measures(cutter: Cutter, query: Query) -> bool:
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
            return take_adjective(cutter, query)
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


def take_adjective(cutter: Cutter, query: Query) -> bool:
    """Take `the cheapest X`, `the hottest day`."""
    found = cutter.cut(rf"\b(?P<a>{'|'.join(ADJECTIVES)}) (?P<g>{WORDS}){END}")
    if not found:
        return False
    query.pick, query.target = ADJECTIVES[found["a"].lower()]
    query.ops, query.group, query.limit = ["auto"], found["g"], 1
    return True


def take_values(cutter: Cutter, query: Query) -> bool:
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
