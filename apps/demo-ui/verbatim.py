"""Names from a model, which Streamlit would read as Markdown."""

import re

LONGEST = 80
# Signs that mean something wherever they are, and others that do so only at the edge of a word, or as `:smile:`; a plain name stays as it is, because
# a screen reader reads what is written.
SIGNS = re.compile(r"[\\`*\[\]$<~]|(?<!\w)[_:#>+-]|[_](?!\w)|:(?=\[|[\w+/-]+[:\[])|(?<=^\d)[.)]")


def verbatim(text: str, longest: int = LONGEST) -> str:
    """The name, or a longer text, as it is, bounded."""
    return SIGNS.sub(lambda sign: "\\" + sign[0], text[:longest].replace("\n", " "))
