"""Names from a model, which Streamlit would read as Markdown."""

import re

LONGEST = 80
# Signs that mean something wherever they are, and others that do so only at the edge of a word; a plain name stays as it is, because a screen
# reader reads what is written.
SIGNS = re.compile(r"[\\`*\[\]$<~]|(?<!\w)[_:#>+-]|[_](?!\w)|:(?=[\w\[])|(?<=^\d)[.)]")


def verbatim(text: str) -> str:
    """The name as it is, bounded."""
    return SIGNS.sub(lambda sign: "\\" + sign[0], text[:LONGEST].replace("\n", " "))
