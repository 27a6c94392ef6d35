"""Arithmetic, percentages, units and dates: questions that need no file."""

import ast
import re

from models.embedded.dates import date_lines, say

_N = r"-?[$€£]?\d[\d,]*(?:\.\d+)?"
_ASK = (
    r"^(?:please )?(?:what(?:'s| is| are| was| were)?|how much (?:is|are)|calculate"
    r"|compute|work out|evaluate|find|give|determine|tell me)?(?: me)?(?: the)?(?: "
    r"(?:result|value) of)? *"
)
_FACTORS = {
    "length": "mm 0.001, cm 0.01, m 1, km 1000, inch 0.0254, foot 0.3048, yard 0.9144, mile "
    "1609.344, nautical mile 1852",
    "mass": "mg 1e-06, g 0.001, kg 1, tonne 1000, ounce 0.028349523125, pound 0.45359237, "
    "stone 6.35029318",
    "volume": "ml 0.001, cl 0.01, l 1, cubic meter 1000, gallon 3.785411784, pint 0.473176473, "
    "cup 0.2365882365",
    "time": "ms 0.001, second 1, minute 60, hour 3600, day 86400, week 604800",
    "data": "bit 0.125, byte 1, kb 1000.0, mb 1000000.0, gb 1000000000.0, tb 1000000000000.0, "
    "kib 1024, mib 1048576, gib 1073741824, tib 1099511627776",
    "speed": "m/s 1, km/h 0.2777777777777778, mph 0.44704, knot 0.5144444444444445",
    "energy": "j 1, kj 1000, cal 4.184, kcal 4184, wh 3600, kwh 3600000.0",
    "area": "square meter 1, square kilometer 1000000.0, hectare 10000.0, acre 4046.8564224, "
    "square foot 0.09290304, square mile 2589988.110336",
    "pressure": "pa 1, hpa 100, kpa 1000, bar 100000.0, mbar 100, psi 6894.757293168, atm 101325",
}
"""The units of each quantity, with their size in a common one."""
_ALSO = (
    "m: meter, metre; km: kilometer, kilometre; cm: centimeter, centimetre; mm: millimeter, "
    "millimetre; inch: inche, in; foot: feet, ft; mile: mi; yard: yd; g: gram, gramme; kg: "
    "kilogram, kilo; mg: milligram; tonne: ton; pound: lb, lbs; ounce: oz; l: liter, litre; "
    "ml: milliliter, millilitre; hour: hr, h; minute: min; second: sec, s; ms: millisecond; "
    "kb: kilobyte; mb: megabyte; gb: gigabyte; tb: terabyte; km/h: kph, kmh, kilometers per "
    "hour; mph: miles per hour; m/s: meters per second; j: joule; cal: calorie; square foot: "
    "square feet"
)
_ALIASES = {
    alias: unit
    for unit, aliases in (entry.split(": ") for entry in _ALSO.split("; "))
    for alias in aliases.split(", ")
}
_DEGREES = {"celsius": "C", "c": "C", "fahrenheit": "F", "f": "F", "kelvin": "K", "k": "K"}
_WORDS = [
    ("divided by", "/"),
    ("multiplied by", "*"),
    ("times", "*"),
    ("plus", "+"),
    ("minus", "-"),
    ("squared", "**2"),
    ("cubed", "**3"),
    ("to the power of", "**"),
    ("\u00d7", "*"),
    ("·", "*"),
    ("÷", "/"),
    ("^", "**"),
    ("\u2212", "-"),
]
_HEAD = """
import datetime, math, statistics

def shown(x):
    x = round(x, DIGITS) if DIGITS is not None else float(f"{x:.10g}")
    return f"{x:.{DIGITS}f}" if DIGITS is not None else f"{x:.10g}" if abs(x) < 1e10 else f"{x:.0f}"
"""


def calculation(text: str) -> str | None:
    """Return a program for a question of pure reckoning, None for other questions."""
    text = " ".join(text.replace("\u2019", "'").split()).strip().rstrip("?.! ")
    text = re.sub(r"(?<=\d) (?=%)", "", text)
    digits: str = "None"
    rounded = re.search(
        r",?\s*(?:\(?round(?:ed)?(?: it| the \w+)?) to (\d|two|three|one)"
        r" decimals?(?: places?)?\)?",
        text,
        re.IGNORECASE,
    )
    if rounded:
        digits = {"one": "1", "two": "2", "three": "3"}.get(rounded[1], rounded[1])
        text = (text[: rounded.start()] + text[rounded.end() :]).strip(" ,.?!")
    bare = re.sub(_ASK, "", text, count=1, flags=re.IGNORECASE).strip()
    for parse in (_percent, _units, date_lines, _numbers, _expression):
        lines = parse(bare)
        if lines:
            return f"DIGITS = {digits}\n{_HEAD}\n" + "\n".join(lines)
    return None


def _n(text: str) -> str:
    return text.replace(",", "").lstrip("$€£")


def _percent(text: str) -> list[str] | None:
    pct = r"(?:%| ?percent)"
    if m := re.fullmatch(rf"({_N}){pct} of ({_N})(?: \w+)?", text, re.IGNORECASE):
        return say(f"{m[1]}% of {m[2]} is ", f"{_n(m[1])} * {_n(m[2])} / 100")
    if m := re.fullmatch(
        (
            rf"(?:percentage|percent|share) (?:is|of) ({_N}) (?:is |out )?of ({_N})|({_N}) "
            rf"(?:is|as) (?:what|a|which) (?:percent|percentage|%) of ({_N})|percentage of "
            rf"({_N}) is ({_N})"
        ),
        text,
        re.IGNORECASE,
    ):
        part, whole = (m[1], m[2]) if m[1] else (m[3], m[4]) if m[3] else (m[6], m[5])
        return say(f"{part} is ", f"100 * {_n(part)} / {_n(whole)}", f" % of {whole}")
    if m := re.search(
        (
            rf"percent(?:age)?.*?\b(?:increase|change|growth|decrease|rise|drop|difference)"
            rf"\b.*?\bfrom ({_N}) to ({_N})$|(?:increase|change|growth|decrease|rise|drop) "
            rf"(?:in (?:percent|%) )?from ({_N}) to ({_N}) (?:in|as) (?:a )?(?:percent"
            rf"|percentage|%)"
        ),
        text,
        re.IGNORECASE,
    ):
        a, b = (m[1], m[2]) if m[1] else (m[3], m[4])
        return say(
            f"From {a} to {b} the change is ", f"100 * ({_n(b)} - {_n(a)}) / abs({_n(a)})", " %"
        )
    if m := re.fullmatch(
        (
            rf"({_N}) (plus|minus|increased by|decreased by|reduced by|less) ({_N}){pct}"
            rf"|(increase|decrease|reduce|raise) ({_N}) by ({_N}){pct}"
        ),
        text,
        re.IGNORECASE,
    ):
        a, word, p = (m[1], m[2], m[3]) if m[1] else (m[5], m[4], m[6])
        sign = "+" if word.lower() in {"plus", "increased by", "increase", "raise"} else "-"
        return say(f"{a} {sign} {p}% is ", f"{_n(a)} * (1 {sign} {_n(p)} / 100)")
    return None


def _unit(name: str) -> str:
    name = name.lower().strip(". ")
    single = name[:-1] if name.endswith("s") and name not in {"ms", "m/s", "lbs", "s"} else name
    return _ALIASES.get(name, _ALIASES.get(single, single))


def _units(text: str) -> list[str] | None:
    m = re.fullmatch(
        rf"(?:convert )?(?P<n>{_N}) ?(?:degrees? |°)?(?P<a>[a-z/° ]+?) (?:in|to|into"
        rf"|as|expressed in) (?:degrees? |°)?(?P<b>[a-z/ ]+)"
        rf"|how many (?P<b2>[a-z/ ]+?) (?:are|is|are there|do|does|make)(?: there)?(?: "
        rf"in)? (?P<n2>{_N}|an?|one) (?P<a2>[a-z/ ]+?)(?: have| make)?",
        text,
        re.IGNORECASE,
    )
    if not m:
        return None
    number = m["n"] or m["n2"]
    number = "1" if number.lower() in {"a", "an", "one"} else number
    a, b = m["a"] or m["a2"], m["b"] or m["b2"]
    label = f"{number} {a} is "
    if a.lower() in _DEGREES and b.lower() in _DEGREES:
        to_c = {"C": "{}", "F": "({} - 32) * 5 / 9", "K": "{} - 273.15"}[
            _DEGREES[a.lower()]
        ].format(_n(number))
        out = {"C": "{}", "F": "({}) * 9 / 5 + 32", "K": "{} + 273.15"}[_DEGREES[b.lower()]].format(
            to_c
        )
        return say(label, out, f" degrees {b}")
    for listed in _FACTORS.values():
        pairs = (entry.rsplit(" ", 1) for entry in listed.split(", "))
        factors = {unit: float(size) for unit, size in pairs}
        if _unit(a) in factors and _unit(b) in factors:
            return say(
                label, f"{_n(number)} * {factors[_unit(a)]!r} / {factors[_unit(b)]!r}", f" {b}"
            )
    return None


def _numbers(text: str) -> list[str] | None:
    """Parse `the average of 3, 5 and 9` and `the square root of 2`."""
    names = {
        "average": "statistics.fmean",
        "mean": "statistics.fmean",
        "sum": "sum",
        "total": "sum",
        "median": "statistics.median",
        "product": "math.prod",
        "maximum": "max",
        "largest": "max",
        "minimum": "min",
        "smallest": "min",
    }
    if m := re.fullmatch(
        (
            rf"({'|'.join(names)}) of (?:the numbers |these numbers:? )?((?:{_N})(?:(?:,? "
            rf"and |, ?| )(?:{_N}))+)"
        ),
        text,
        re.IGNORECASE,
    ):
        listed = [n for n in re.split(r",? and |, | |,(?=\d)", m[2]) if n]
        return say(
            f"The {m[1].lower()} of {m[2]} is ",
            f"{names[m[1].lower()]}([{', '.join(map(_n, listed))}])",
        )
    if m := re.fullmatch(
        (
            r"(?:the )?sum of (?:all )?(?:the )?(?:numbers|integers) (?:from )?(\d+) (?:to"
            r"|through) (\d+)"
        ),
        text,
        re.IGNORECASE,
    ):
        return say(f"The sum of {m[1]} to {m[2]} is ", f"sum(range({m[1]}, {m[2]} + 1))")
    if m := re.fullmatch(rf"(?:square root|sqrt) of ({_N})", text, re.IGNORECASE):
        return say(f"The square root of {m[1]} is ", f"math.sqrt({_n(m[1])})")
    if m := re.fullmatch(r"factorial of (\d{1,3})|(\d{1,3}) ?(?:factorial|!)", text, re.IGNORECASE):
        return [f"print('ANSWER: {m[1] or m[2]}! is ' + str(math.factorial({m[1] or m[2]})) + '.')"]
    return None


def _expression(text: str) -> list[str] | None:
    expression = re.sub(r"(?<=\d) ?x ?(?=\d)", "*", text.lower())
    for word, sign in _WORDS:
        expression = expression.replace(word, sign)
    expression = re.sub(r"(?<=\d),(?=\d{3}\b)", "", expression).rstrip("= ")
    if not re.fullmatch(r"[\d.+\-*/%() ]{3,200}", expression) or (
        not re.search(r"\d ?[-+*/%]", expression) and not re.search(r"[-+*/] ?\(", expression)
    ):
        return None
    powers = re.findall(r"\*\* ?\(?(\d+)", expression)
    try:
        ast.parse(expression.strip(), mode="eval")
    except SyntaxError:
        return None
    if any(int(power) > 1000 for power in powers) or expression.count("**") > 2:
        return None
    return say(f"{text} = ", expression.strip())
