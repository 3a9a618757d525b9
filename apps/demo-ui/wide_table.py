"""A table that scrolls by itself where it is wider than the page, as HTML."""

from html import escape

import quantities

STYLE = """
<style>
.wide { overflow-x: auto; font-size: .85rem; }
.wide table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide th { font-size: .75rem; font-weight: 500; opacity: .7; text-align: left; }
.wide :is(th, td) { padding: .22rem .9rem .22rem 0; white-space: nowrap; border: 0; vertical-align: middle; }
.wide tr + tr td { border-top: 1px solid color-mix(in srgb, currentColor 9%, transparent); }
.wide :is(th, td).number { text-align: right; }
.wide :is(th, td):last-child { padding-right: .1rem; }
.wide td.text { max-width: 15rem; overflow: hidden; text-overflow: ellipsis; }
.wide .bar { display: inline-block; width: 3.2rem; height: .4rem; margin-right: .5rem; vertical-align: .08em; overflow: hidden; }
.wide .bar { border-radius: 999px; background: color-mix(in srgb, currentColor 10%, transparent); }
.wide .bar i { display: block; height: 100%; border-radius: 999px; background: currentColor; opacity: .55; }
</style>
"""


def table(title: str, names: tuple[str, ...], rows: list[tuple[str, ...]], numbers: tuple[int, ...], testid: str) -> str:
    """The table. Its cells are HTML; `numbers` are the columns of numbers, `title` is for screen readers, `testid` for tests."""

    def row(cells: tuple[str, ...], kind: str) -> str:
        return "<tr>" + "".join(f'<{kind} class="{"number" if at in numbers else "text"}">{cell}</{kind}>' for at, cell in enumerate(cells)) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return (
        f'{STYLE}<div class="wide" data-testid="{testid}" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead>{row(names, 'th')}</thead><tbody>{body}</tbody></table></div>"
    )


def text(text: str, help: str = "") -> str:
    """A cell with a text, and what is said about it to whoever points at it."""
    return f'<span title="{escape(help or text)}">{escape(text)}</span>'


def number(value: float | None) -> str:
    """A cell with a number; empty without one."""
    return "" if value is None else quantities.measured(value)


def percent(share: float | None) -> str:
    """A cell with a share from 0 to 1."""
    return "–" if share is None else quantities.percent(share)
