"""What the evidence counts, in words: the items of a dataset, or the rows of a sample of requests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """Words for what is counted. Those for one become many by an s."""

    # What is counted, the newest of it, and all of it.
    one: str
    newest: str
    all: str
    # What it comes in, the last one of these, and why there is none yet.
    window: str
    last: str
    none: str


ITEMS = Noun("new item", "newest item", "what is new", "window", "the last window", "no window is full or an hour old")
ROWS = Noun("sampled row", "newest sampled row", "the requests", "hour", "the newest hour", "no hour of the sample had requests yet")
