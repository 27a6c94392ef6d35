import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from tools.page_text import page_text

PAGE = """\
<!doctype html><html><head><title> Prices
 of 2024 </title><style>p {color: red}</style></head><body>
<script>alert("no")</script><!-- nor this -->
<nav><a href="/home">Home</a> <a href="#top">Top</a> <a href="javascript:x()">Run</a></nav>
<h1>Prices</h1>
<p>All in <b>EUR</b>,
   see <a href="terms.html">the terms</a>.<br>Second line</p>
<ul><li>one</li><li>two <i>three</i></li></ul>
<table><caption>By month</caption>
<tr><th>Month</th><th colspan="2">Sales</th></tr>
<tr><td rowspan="2">Jan</td><td>1|2</td><td>3</td></tr>
<tr><td>4</td><td><a href="d">5</a></td></tr></table>
<table><tr><td><p>layout</p><table><tr><td>inner</td><td>cell</td></tr></table></td></tr></table>
<pre>keep
   this</pre>
<h2>End</h2></body></html>
"""


def test_headings_links_lists_and_tables_are_kept() -> None:
    title, text = page_text(PAGE.encode(), "https://example.org/shop/index.html")

    assert title == "Prices of 2024"
    assert text == snapshot("""\
[Home](https://example.org/home) Top Run

# Prices

All in EUR, see [the terms](https://example.org/shop/terms.html).

Second line

- one
- two three

By month
| Month | Sales | Sales |
| --- | --- | --- |
| Jan | 1\\|2 | 3 |
| Jan | 4 | 5 |

layout

| inner | cell |

keep
   this

## End\
""")


def test_a_table_whose_ends_are_left_out_is_read() -> None:
    body = b"<table><tr><th>a<th>b<tr><td>1<br>2<td>3<tr><td>4<td>5</table>after"

    assert page_text(body, "https://example.org/")[1] == snapshot("""\
| a | b |
| --- | --- |
| 1 2 | 3 |
| 4 | 5 |

after\
""")


def test_links_are_relative_to_the_base_that_the_page_names() -> None:
    body = b'<base href="https://cdn.example.org/x/"><a href="y.csv">data</a>'

    assert page_text(body, "https://example.org/")[1] == "[data](https://cdn.example.org/x/y.csv)"


@pytest.mark.parametrize("charset", ["", "iso-8859-1"])
def test_the_charset_is_taken_from_the_server_or_the_page(charset: str) -> None:
    body = '<meta charset="iso-8859-1"><p>café</p>'.encode("iso-8859-1")

    assert page_text(body, "https://example.org/", charset)[1] == "café"


@given(st.text(alphabet="<>/=\"' abtdrh1!-&;\n", max_size=300))
@settings(max_examples=50)
def test_any_markup_gives_text(markup: str) -> None:
    title, text = page_text(markup.encode(), "https://example.org/")

    assert isinstance(title + text, str)


@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 5_000 + b"deep",
        b"<a href='x'>" * 5_000 + b"deep",
        b"<table><tr><td>" * 1_000 + b"deep",
        b"<p>x <a href='y'>z</a></p>" * 3_000 + b"deep",
        b"<table>" + b"<tr><td>x<td>y" * 2_000 + b"deep",
        b"<table><tr><td rowspan=99999 colspan=99999>deep</table>",
    ],
    ids=["div", "a", "table", "wide", "rows", "span"],
)
def test_a_page_made_to_hurt_is_read(body: bytes) -> None:
    assert "deep" in page_text(body, "https://example.org/")[1]
