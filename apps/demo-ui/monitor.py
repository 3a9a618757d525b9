"""The page's client of the dataset monitor's REST interface."""

from rest import Rest, RestError
from watched import Watched, watched

# Datasets that are shown; each is some kilobytes, and each session keeps them.
MOST_DATASETS = 200


class MonitorError(RestError):
    """The monitor did not answer, or answered with an error."""


class Monitor(Rest):
    """The dataset monitor, as the page reaches it."""

    name, short = "dataset monitor", "monitor"
    error = MonitorError

    def datasets(self) -> tuple[Watched, ...]:
        """The datasets that are watched, by name."""
        # by name before it is cut, so that those are left which were there before
        return tuple(watched(name, sent) for name, sent in sorted(self._get("datasets").items())[:MOST_DATASETS])
