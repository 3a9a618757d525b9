"""Sentences from elsewhere as HTML: bounded, escaped, and with `backticks` as code. Markdown would make links of addresses in them."""

from html import escape

STYLE = """
<style>
.said { font-size: .875rem; line-height: 1.5; opacity: .85; margin: 0; overflow-wrap: anywhere; }
.said + .said { margin-top: .4rem; }
</style>
"""
LONGEST = 600


def paragraph(html: str) -> str:
    """HTML as a paragraph below or above something."""
    return f'{STYLE}<p class="said">{html}</p>'


def sentence(text: str, capital: bool = True) -> str:
    """A text as a sentence, with a capital letter or as it begins."""
    text = text[:LONGEST].strip().rstrip(".")
    end = "" if text.endswith(("?", "!", "…")) else "."
    words = f"{text[:1].upper() if capital else text[:1]}{text[1:]}{end}".split("`")
    # a mark without a second one marks nothing
    if len(words) % 2 == 0:
        words[-2:] = ["`".join(words[-2:])]
    return "".join(f"<code>{escape(part)}</code>" if at % 2 else escape(part) for at, part in enumerate(words))
