"""Texts from elsewhere, made fit to be shown: bounded, and without what would act on more than the place where it stands."""

import re

from signature import plain

LONGEST = 4000
# Names of metrics, parameters and classes; MLflow's own bound is 250.
LONGEST_NAME = 250
# What terminals understand: sequences of colours and cursors, and titles.
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")
# Other control characters, and those that change the direction of what follows or cannot be seen.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")


def clean(text: str, longest: int = LONGEST) -> str:
    """The text without those characters. A longer one is cut, which its last character says."""
    if len(text) <= longest and text.isascii() and text.isprintable():
        # almost all texts are like that, and there are ten thousands of them
        return text
    # what is far beyond the bound is not looked at
    text = CONTROL.sub("", SEQUENCE.sub("", plain(text[: 4 * longest])))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def name(text: str) -> str:
    """The same for a name."""
    return clean(text, LONGEST_NAME)
