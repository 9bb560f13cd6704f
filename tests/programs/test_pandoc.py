"""pandoc, written in Haskell: 620,000 functions, 79,000 data segments, vectors, legacy exceptions. A heavy program."""

from __future__ import annotations

from collections.abc import Callable

import wasmine
from wasmine.wasi.program import run

LoadProgram = Callable[[str], wasmine.Module]

MARKDOWN = """\
# A *title* {#top}

Some `code`, a [link](https://example.org), and a footnote.[^1]

| left | right |
|------|------:|
| a    |     1 |

[^1]: Here.
"""
HTML = """\
<h1 id="top">A <em>title</em></h1>
<p>Some <code>code</code>, a <a href="https://example.org">link</a>, and
a footnote.<a href="#fn1" class="footnote-ref" id="fnref1"
role="doc-noteref"><sup>1</sup></a></p>
<table>
<thead>
<tr>
<th>left</th>
<th style="text-align: right;">right</th>
</tr>
</thead>
<tbody>
<tr>
<td>a</td>
<td style="text-align: right;">1</td>
</tr>
</tbody>
</table>
<section id="footnotes" class="footnotes footnotes-end-of-document"
role="doc-endnotes">
<hr />
<ol>
<li id="fn1"><p>Here.<a href="#fnref1" class="footnote-back"
role="doc-backlink">↩︎</a></p></li>
</ol>
</section>
"""


def test_markdown_becomes_html(load_program: LoadProgram, engine: str) -> None:
    done = run(
        load_program("pandoc"),
        ["-f", "markdown", "-t", "html"],
        input=MARKDOWN,
        capture_output=True,
        text=True,
        mounts={"/": {}},
        engine=engine,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == HTML
