"""The words and patterns by which questions about tables are recognised."""

import re

NUMBER = r"-?[$€£]?\d[\d,]*(?:\.\d+)?"
END = (
    r"(?=\s*(?:$|[|,.;:?!\n])| (?:in|on|at|for|from|of|per|by|with|where|whose|when|who|that|which"
    r"|during|between|before|after|since|until|and|is|are|was|were|has|have|had|did|do"
    r"|does|over|above"
    r"|below|under|each|across|within|among|not|except|excluding|sold|made|placed|recorded|measured"
    r"|occurred|there|if|to|using|as|than)\b)"
)
WORD = r"[^\s|,;:?!]*[^\s|,;:?!.]"
WORDS = rf"{WORD}(?: {WORD}){{0,4}}?"
LEFT = re.compile(
    r"\b(?:average|mean|median|total|sum|how many|maximum|minimum|percent\w*|highest|lowest|largest"
    r"|smallest|most|fewest|write|save|then|rank|ratio|divided|minus|plus|versus|vs|compare"
    r"|differ\w*|weighted|cumulative|running|rolling|half|twice|double|second|third|fourth|fifth"
    r"|\d+(?:nd|rd|th)|first|last|past|previous|next|latest|earliest|newest|recent\w*|but|nor"
    r"|neither|never|none|no(?! ?[\d.])|not|per|each|every|(?:ha[sd]|have|having|with) (?:an?|any)"
    r"|and (?:what|which|who|when|where))\b"
    r"|\b(?:what|which) (?:is|was|are|were) (?:the )?"
    r"(?!(?:the|of|all|correct|overall|in)\b)[a-z]"
    r"|[a-z_]{3,} ?[/÷+] ?[a-z_]{3,}|(?:^|[ |])[-/+÷] (?=\w)",
    re.IGNORECASE,
)
"""What may not be left of a question that was understood."""
OPS = {
    "mean": r"average|mean|avg",
    "median": r"median",
    "stdev": r"standard deviation|std(?:dev)?",
    "sum": r"total|sum|combined|overall|altogether",
    "max": r"maximum|max|highest|largest|biggest|greatest|peak|longest|top",
    "min": r"minimum|min|lowest|smallest|shortest",
}
HIGH = r"highest|most|largest|biggest|greatest|maximum|max|best|longest|top"
LOW = r"lowest|fewest|least|smallest|minimum|min|shortest|worst"
ADJECTIVES = {
    "hottest": ("highest", "temperature"),
    "warmest": ("highest", "temperature"),
    "coldest": ("lowest", "temperature"),
    "wettest": ("highest", "rain"),
    "cheapest": ("lowest", "price"),
    "most expensive": ("highest", "price"),
    "least expensive": ("lowest", "price"),
    "oldest": ("highest", "age"),
    "youngest": ("lowest", "age"),
    "heaviest": ("highest", "weight"),
    "tallest": ("highest", "height"),
}
COMPARED = {
    "older": (">", "age"),
    "younger": ("<", "age"),
    "taller": (">", "height"),
    "heavier": (">", "weight"),
    "lighter": ("<", "weight"),
    "cheaper": ("<", "price"),
    "more expensive": (">", "price"),
    "hotter": (">", "temperature"),
    "warmer": (">", "temperature"),
    "colder": ("<", "temperature"),
    "cooler": ("<", "temperature"),
    "longer": (">", "duration"),
    "slower": (">", "duration"),
    "faster": ("<", "duration"),
}
ASKED = {
    "old": "age",
    "tall": "height",
    "heavy": "weight",
    "long": "duration",
    "expensive": "price",
    "hot": "temperature",
    "warm": "temperature",
    "cold": "temperature",
    "much is": "price",
    "much does": "price",
}
PERIODS = {
    "year": "@year",
    "month": "@month",
    "day": "@day",
    "weekday": "@weekday",
    "week": "@week",
    "quarter": "@quarter",
    "hour": "@hour",
    "day of the week": "@weekday",
}
SIGNS = {
    ">=": r">=|≥|at least|no less than|not less than|not below|minimum of",
    "<=": r"<=|≤|at most|no more than|not more than|not above|up to",
    "!=": r"!=|≠|not equal to|different from",
    ">": (
        r">|(?:greater|more|higher|larger|bigger|older|longer|heavier|warmer|hotter) than"
        r"|above|over|exceed(?:s|ing|ed)?"
    ),
    "<": r"<|(?:less|lower|fewer|smaller|younger|shorter|lighter|colder|cooler) than|below|under",
    "=": r"==?|equal to|equals|exactly",
}
COUNT_WORDS = {
    w: i
    for i, w in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1
    )
}
LEAD = (
    r"(?:in|of|from|for|that|which|are|is|was|were|and|with|have|has|had|having|where"
    r"|whose|the|an?|all|rows|records|entries|days|people)"
)


REWORDED = (
    (r"\btotal number of\b", "number of"),
    (r"\b(average|mean|median|maximum|minimum) number of\b", r"\1"),
    (
        r"(?:\b(?:give|show|list)\b(?: me)? )?(?:a )?(?:list of )?(?:the |all )*(\w+) "
        r"(?:and|with) their"
        r" (total|average|mean|median|maximum|minimum) (\w+)",
        r"\2 \3 per \1",
    ),
)
