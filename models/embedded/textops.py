"""Text files and the files themselves: find, count, extract, replace, list, rename, move."""

import re

from models.embedded.query import take_output

_TERM = (
    r"(?:the )?(?:words? |text |string |phrase |term |name |keyword )?(?:'([^']+)'"
    r"|\"([^\"]+)\"|“([^”]+)”|`([^`]+)`|([\w@.:/-]+))"
)
_KINDS = {
    r"e-?mail(?:s| addresses| address)": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"(?:urls?|links?|web addresses)": r"https?://[^\s<>\")']+",
    r"ip(?:v4)?[ -]?(?:addresses|address|s)": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"(?:phone|telephone) numbers?": r"\+?\d[\d ()/-]{6,}\d",
    r"dates?": r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b",
    r"(?:numbers|figures|amounts)": r"-?\d+(?:[.,]\d+)*",
    r"hashtags?": r"#\w+",
}
_OPEN = (
    "from pathlib import Path\nimport re\n\ndef text_of(name):\n    raw = Path(name)"
    ".read_bytes()\n    try:\n        return raw.decode('utf-8-sig')\n    except "
    "UnicodeDecodeError:\n        return raw.decode('cp1252', 'replace')\n\n"
)


def text_work(text: str, files: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Return a program for a wish about text files or files, and the files that it makes."""
    text = " ".join(text.replace("\u2019", "'").split()).rstrip(" .!?")
    renamed = _moving(text, files)
    if renamed:
        return renamed
    asked, output = take_output(text, files)
    named = [
        name for name in files if re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w-]|\.\w)", asked)
    ]
    for name in named:
        asked = re.sub(
            (
                rf"(?:,? ?(?:in|of|from|within|inside|to|does|do|with) )?(?:the )?(?:file "
                rf"|text file |log file )?['`\"]?{re.escape(name)}['`\"]?"
            ),
            " |",
            asked,
        )
    asked = " ".join(asked.split())
    for parse in (_replacing, _containing_files, _listing_files):
        if found := parse(asked, tuple(named), files, output):
            return found
    body = _reading(asked, named or [f for f in files if f.endswith((".txt", ".log", ".md"))])
    return (_OPEN + body + _ending(output), _made(output)) if body else None


def _quoted(groups: tuple[str | None, ...]) -> str:
    return next((group for group in groups if group), "")


def _made(output: str) -> tuple[str, ...]:
    return (output,) if output else ()


def _ending(output: str) -> str:
    """Return the lines that print the answer, and write it when a file was asked for."""
    if not output:
        return "print('ANSWER: ' + answer)\n"
    body = "'\\n'.join(found)" if output.endswith((".txt", ".csv")) else "answer"
    return (
        f"target = Path({output!r})\ntarget.parent.mkdir(parents=True, exist_ok=True)\n"
        f"target.write_text(({body} if found else answer) + '\\n', encoding='utf-8')\n"
        f"print('ANSWER: ' + answer + '\\nWritten to {output}.')\n"
    )


def _moving(text: str, files: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """Parse `rename a to b`, `move all .txt files into folder`, `copy a to b`."""
    m = re.fullmatch(
        (
            r"(?:please )?(?P<v>rename|move|copy) (?:the )?(?:file )?['`\"]?(?P<a>[\w./ "
            r"-]+?\.\w+)['`\"]? (?:to|into|as|in) (?:the )?(?:folder |directory |file )"
            r"?['`\"]?(?P<b>[\w./-]+)['`\"]?(?: folder| directory)?"
        ),
        text,
        re.IGNORECASE,
    )
    if m and m["a"] in files:
        target = (
            m["b"]
            if re.search(r"\.\w+$", m["b"]) and not m["b"].endswith("/")
            else f"{m['b'].rstrip('/')}/{m['a'].rsplit('/', 1)[-1]}"
        )
        pairs = [(m["a"], target)]
    else:
        m = re.fullmatch(
            (
                r"(?:please )?(?P<v>rename|move|copy) (?:all |every )(?:the )"
                r"?(?:\*?\.?(?P<x>\w+) )?files?(?: ending (?:in|with) \.?(?P<y>\w+))? "
                r"(?:to|into|in|so that they end in|by changing the extension to) (?:the "
                r"|a )?(?:new )?(?:folder |directory )?(?:called |named )?(?P<b>[\w./-]+)"
                r"(?: files| folder| directory| extension)?"
            ),
            text,
            re.IGNORECASE,
        )
        if not m:
            return None
        kind = f".{(m['x'] or m['y'] or '').lower()}"
        chosen = [name for name in files if kind == "." or name.lower().endswith(kind)]
        if m["v"].lower() == "rename":
            pairs = [(name, name.rsplit(".", 1)[0] + "." + m["b"].lstrip("*.")) for name in chosen]
        else:
            pairs = [(name, f"{m['b'].rstrip('/')}/{name.rsplit('/', 1)[-1]}") for name in chosen]
    verb = m["v"].lower()
    done = {"rename": "Renamed", "move": "Moved", "copy": "Copied"}[verb]
    act = "shutil.copy2(a, b)" if verb == "copy" else "shutil.move(a, b)"
    code = (
        f"import shutil\nfrom pathlib import Path\npairs = {pairs!r}\ntaken = [b for "
        f"_, b in pairs if Path(b).exists()]\n"
        "if taken:\n    raise FileExistsError(f'these files exist already: {taken}')\n"
        f"for a, b in pairs:\n    Path(b).parent.mkdir(parents=True, exist_ok=True)\n    {act}\n"
        f"print('ANSWER: {done} ' + str(len(pairs)) + ' file(s): ' + ', '.join(f'{{a}} "
        f"to {{b}}' for a, b in pairs) + '.')\n"
    )
    return (code, tuple(b for _, b in pairs)) if pairs else None


def _replacing(
    text: str, named: tuple[str, ...], files: tuple[str, ...], output: str
) -> tuple[str, tuple[str, ...]] | None:
    del files
    m = re.search(
        (
            rf"\b(?:replace|substitute|change) (?:all |every |each )?(?:occurrences? of "
            rf"|instances? of )?{_TERM} (?:with|by|to|into) {_TERM}"
        ),
        text,
        re.IGNORECASE,
    )
    if not m or len(named) != 1:
        return None
    old, new = _quoted(m.groups()[:5]), _quoted(m.groups()[5:])
    target = output or named[0]
    return (
        f"{_OPEN}text = text_of({named[0]!r})\ncount = text.count({old!r})\n"
        f"if not count:\n    raise LookupError({f'{old!r} does not occur in {named[0]}'!r})\n"
        f"Path({target!r}).write_text(text.replace({old!r}, {new!r}), encoding='utf-8')\n"
        f"print(f'ANSWER: Replaced {{count}} occurrences of ' + "
        f"{f'{old!r} by {new!r}; the result is in {target}.'!r})\n",
        (target,),
    )


def _containing_files(
    text: str, named: tuple[str, ...], files: tuple[str, ...], output: str
) -> tuple[str, tuple[str, ...]] | None:
    m = re.search(
        (
            rf"\b(?:which|what|list (?:all |the )?|find (?:all |the )?|how many)(?: of the)"
            rf"? ?files (?:that )?(?:contain|mention|include|with|containing|mentioning)s? "
            rf"{_TERM}"
        ),
        text,
        re.IGNORECASE,
    )
    if not m:
        return None
    term = _quoted(m.groups())
    code = (
        f"{_OPEN}found = [name for name in {list(named or files)!r} if {term.lower()!r} in "
        f"text_of(name).lower()]\nanswer = f'{{len(found)}} files contain ' + {term!r} + "
        f"': ' + (', '.join(found) or 'none') + '.'\n"
    )
    return code + _ending(output), _made(output)


def _listing_files(
    text: str, named: tuple[str, ...], files: tuple[str, ...], output: str
) -> tuple[str, tuple[str, ...]] | None:
    del files
    if named or not re.search(
        r"\bfiles\b|\b(?:largest|biggest|smallest|newest) file\b|\bworkspace\b", text, re.IGNORECASE
    ):
        return None
    if not re.search(
        r"^(?:please )?(?:list|show|what|which|how many|name|count|give|write)\b",
        text,
        re.IGNORECASE,
    ) or re.search(r"\b(?:column|rows?|lines?|words?|average|mean|join)\b", text):
        return None
    kind = re.search(
        r"\.(\w+)\b|\b(csv|json|jsonl|tsv|txt|text|log|markdown|md|python|py)\b",
        text,
        re.IGNORECASE,
    )
    suffix = (
        {"text": "txt", "markdown": "md", "python": "py"}.get(
            _quoted(kind.groups()).lower(), _quoted(kind.groups()).lower()
        )
        if kind
        else ""
    )
    by_size = re.search(r"\bsize|largest|biggest|smallest", text, re.IGNORECASE)
    key = (
        "(lambda p: (-p.stat().st_size, str(p)))"
        if by_size and "smallest" not in text
        else "(lambda p: (p.stat().st_size, str(p)))"
        if by_size
        else "str"
    )
    code = (
        f"{_OPEN}paths = sorted((p for p in Path('.').rglob('*') if p.is_file() and str(p)"
        f".endswith({('.' + suffix) if suffix else ''!r})), key={key})\n"
    )
    if re.search(r"\b(?:largest|biggest|smallest) file\b", text, re.IGNORECASE):
        code += "paths = paths[:1]\n"
    code += (
        f"found = [f'{{p}} ({{p.stat().st_size}} bytes)' for p in paths]\nanswer = "
        f"f'{{len(found)}} {suffix} file(s): '.replace('  ', ' ') + ', '.join(found) + "
        f"'.'\n"
    )
    return code + _ending(output), _made(output)


def _reading(text: str, named: list[str]) -> str | None:
    """Parse wishes to count, find or extract in named text files."""
    if not named:
        return None
    load = f"names = {named!r}\ntext = '\\n'.join(text_of(name) for name in names)\nfound = []\n"
    for parse in (_counting, _lines, _extracting):
        if body := parse(text):
            return load + body
    return None


def _counting(text: str) -> str | None:
    if m := re.search(
        (
            rf"\b(?:how (?:many times|often) (?:does |is |do )?|(?:number|count) (?:of "
            rf"|the )?(?:occurrences|appearances|times) (?:of )?|count (?:how often )"
            rf"?(?:the )?(?:occurrences of )?(?:the word )(?=['\"]|\w)){_TERM}"
        ),
        text,
        re.IGNORECASE,
    ):
        term = _quoted(m.groups())
        pattern = rf"(?<!\w){re.escape(term)}(?!\w)"
        return (
            f"count = len(re.findall({pattern!r}, text, re.IGNORECASE))\nanswer = {term!r} "
            f"+ f' occurs {{count}} times in {{\", \".join(names)}}.'\n"
        )
    if m := re.search(
        r"\b(\d+|ten|five|three)? ?most (?:common|frequent|used) words?", text, re.IGNORECASE
    ):
        amount = {"ten": "10", "five": "5", "three": "3"}.get((m[1] or "1").lower(), m[1] or "1")
        return (
            f"from collections import Counter\nwords = "
            f'Counter(re.findall(r"[^\\W\\d_]+(?:\'[^\\W\\d_]+)?", text.lower()))\nfound '
            f"= [f'{{w}} ({{n}})' for w, n in sorted(words.items(), key=lambda p: (-p[1], "
            f"p[0]))[:{amount}]]\nanswer = 'The most frequent words: ' + ', '.join(found) "
            f"+ '.'\n"
        )
    if m := re.search(
        (
            r"\b(?:how many|count (?:all )?(?:the )?|number of) ?(?P<n>non-?empty |blank "
            r"|empty )?(?P<u>lines?|words?|characters?|paragraphs?)\b(?! (?:\| )?(?:that "
            r"|which )?(?:contain|with|mention|includ|start|end|begin)\w* [^| ])"
        ),
        text,
        re.IGNORECASE,
    ):
        unit, kind = m["u"].lower().rstrip("s"), (m["n"] or "").lower()
        count = {
            "line": "len(text.splitlines())",
            "word": "len(text.split())",
            "character": "len(text)",
            "paragraph": r"len([p for p in re.split(r'\n\s*\n', text) if p.strip()])",
        }[unit]
        if unit == "line" and kind:
            count = (
                f"sum(1 for line in text.splitlines() if "
                f"{'not ' if 'non' not in kind else ''}line.strip())"
            )
        return (
            (
                f'answer = f\'{{", ".join(names)}} has '
                f"{{{count.replace('{', '{{')}}} {kind}{unit}s.'\n"
            )
            if "\\" not in count
            else f"count = {count}\nanswer = f'{{\", \".join(names)}} has {{count}} {unit}s.'\n"
        )
    return None


def _lines(text: str) -> str | None:
    m = re.search(
        (
            rf"\blines? (?:\| )?(?:(?:that |which )?(?:contain(?:s|ing)?|with|mention(?:s"
            rf"|ing)?|includ(?:es?|ing)|(?P<s>(?:start|begin)(?:s|ning|ing)? with)"
            rf"|(?P<e>end(?:s|ing)? (?:with|in)))) {_TERM}"
        ),
        text,
        re.IGNORECASE,
    )
    m = m or re.search(
        (
            r"(?P<s>(?!))?(?P<e>(?!))?\b(?i:how many|number of|count(?: all)?(?: the)?"
            r"|list(?: all)?(?: the)?|extract(?: all)?(?: the)?|show(?: all)?(?: the)?)(?: "
            r"'([^']+)'| \"([^\"]+)\"| “([^”]+)”| `([^`]+)`| ([A-Z]{3,})) (?:lines|entries"
            r"|messages|records)"
        ),
        text,
    )
    if not m:
        if near := re.search(
            r"\b(?P<w>first|last) (?P<n>\d+|line)(?: lines?)?", text, re.IGNORECASE
        ):
            amount = int(near["n"]) if near["n"].isdigit() else 1
            part = f"[:{amount}]" if near["w"].lower() == "first" else f"[-{amount}:]"
            return f"found = text.splitlines(){part}\nanswer = '\\n'.join(found)\n"
        if re.search(r"\blongest line", text, re.IGNORECASE):
            return (
                "found = [max(text.splitlines(), key=len)]\nanswer = f'The longest line "
                "has {len(found[0])} characters: ' + found[0]\n"
            )
        return None
    term = _quoted(m.groups()[2:])
    test = "startswith" if m["s"] else "endswith" if m["e"] else "__contains__"
    code = (
        f"found = [line for line in text.splitlines() if line.strip().lower()"
        f".{test}({term.lower()!r})]\n"
    )
    if re.search(r"\b(?:how many|number of|count)\b", text, re.IGNORECASE):
        return code + (
            f'answer = f\'{{len(found)}} lines of {{", ".join(names)}} '
            f"{'start with' if m['s'] else 'end with' if m['e'] else 'contain'} ' + "
            f"{term!r} + '.'\n"
        )
    return code + "answer = f'{len(found)} lines:\\n' + '\\n'.join(found[:100])\n"


def _extracting(text: str) -> str | None:
    for words, pattern in _KINDS.items():
        m = re.search(
            (
                rf"\b(?P<v>extract|find|list|collect|get|show|how many|count|pull out"
                rf"|write)\b(?: out)?(?: me)?(?: all| every| each)?(?: of)?(?: the)?(?P<u> "
                rf"(?:unique|different|distinct))? {words}(?!\w)"
            ),
            text,
            re.IGNORECASE,
        )
        if m:
            unique = (
                "found = list(dict.fromkeys(found))\n"
                if m["u"] or re.search(r"\b(?:unique|distinct|without duplicates)\b", text)
                else ""
            )
            name = re.search(words, m[0], re.IGNORECASE)
            return (
                f"found = re.findall({pattern!r}, text)\n{unique}answer = f'{{len(found)}} "
                f"' + {(name[0] if name else 'items')!r} + ': ' + ', '.join(found[:200]) + "
                f"'.'\n"
            )
    return None
