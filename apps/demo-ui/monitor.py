"""The page's client of the dataset monitor's REST interface."""

from dataclasses import dataclass

from rest import Rest, RestError
from watched import Watched, watched

# Datasets that are shown; each is some kilobytes, and each session keeps them.
MOST_DATASETS = 200


class MonitorError(RestError):
    """The monitor did not answer, or answered with an error."""


@dataclass(frozen=True)
class Datasets:
    """The datasets that are watched, by name: those that are shown, and how many there are."""

    shown: tuple[Watched, ...]
    count: int

    def named(self, name: str) -> Watched | None:
        """One of those that are shown."""
        return next((one for one in self.shown if one.name == name), None)


class Monitor(Rest):
    """The dataset monitor, as the page reaches it."""

    name, short = "dataset monitor", "monitor"
    error = MonitorError
    # It answers from memory.
    timeout = (3, 5)

    def datasets(self) -> Datasets:
        """The datasets that are watched."""
        sent = self._get("datasets")
        # by name before it is cut, so that those are left which were there before
        return Datasets(tuple(watched(name, one) for name, one in sorted(sent.items())[:MOST_DATASETS]), len(sent))
