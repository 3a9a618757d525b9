"""Names and messages from elsewhere, which Streamlit would read as Markdown."""

import re

LONGEST = 80
# Characters of a message.
MESSAGE = 600
# Signs that mean something wherever they are, and others that do so only at the edge of a word, or as `:smile:`; a plain name stays as it is, because
# a screen reader reads what is written.
SIGNS = re.compile(r"[\\`*\[\]$<~]|(?<!\w)[_:#>+-]|[_](?!\w)|:(?=\[|[\w+/-]+[:\[])|(?<=^\d)[.)]")


def verbatim(text: str, longest: int = LONGEST) -> str:
    """The name, or a longer text, as it is, bounded."""
    return SIGNS.sub(lambda sign: "\\" + sign[0], text[:longest].replace("\n", " "))


def message(text: object) -> str:
    """A message as it is, bounded."""
    return verbatim(str(text), MESSAGE)


def sentence(text: object) -> str:
    """A message as a sentence."""
    return f"{message(text)}."
