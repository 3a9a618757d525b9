"""The client of the dataset monitor, against a stand-in on loopback."""

import socket
import unittest
from unittest.mock import patch

from access import service
from monitor import Monitor, MonitorError
from stand_in_monitor import Monitor as StandIn


class Client(unittest.TestCase):
    def setUp(self):
        self.stand_in = self.enterContext(StandIn())
        self.monitor = Monitor(service("SLIPWAY_MONITOR_URL", self.stand_in.address))

    def refused(self, monitor: Monitor | None = None) -> MonitorError:
        with self.assertRaises(MonitorError) as raised:
            (monitor or self.monitor).datasets()
        return raised.exception

    def test_datasets_come_by_name(self):
        names = [one.name for one in self.monitor.datasets().shown]
        self.assertEqual(names, ["asked", "digits", "fashion", "letters", "mail", "notes", "numbers", "plates", "signs", "zz-hostile"])
        self.assertEqual((self.stand_in.requests, self.stand_in.authorizations), (["/api/v1/datasets"], [None]))
        with patch("monitor.MOST_DATASETS", 2):
            found = self.monitor.datasets()
        self.assertEqual(([one.name for one in found.shown], found.count), (names[:2], len(names)))

    def test_errors_say_what_was_answered(self):
        # as crates/service/src/http/problem.rs writes it
        missing = {"title": "Not ready", "status": 503, "detail": "the dataset store has not answered yet"}
        for answer, message, passing in [
            ((503, missing), "The dataset monitor answered 503: Not ready: the dataset store has not answered yet", True),
            ((404, {"title": "There is no such path"}), "The dataset monitor answered 404: There is no such path", False),
            ((200, []), "The monitor's answer is not a JSON object", False),
            ((302, {}), "The dataset monitor answered 302: {}", False),
        ]:
            self.stand_in.instead = answer
            error = self.refused()
            self.assertEqual((str(error), error.passing), (message, passing))

    def test_one_that_is_away_or_slow_may_answer_later(self):
        error = self.refused(Monitor(service("X", "http://ann:marked@127.0.0.1:9")))
        self.assertEqual((str(error), error.passing), ("The dataset monitor does not answer at http://127.0.0.1:9", True))
        with socket.create_server(("127.0.0.1", 0)) as silent, patch.object(Monitor, "timeout", (3, 0.05)):
            error = self.refused(Monitor(service("X", f"http://127.0.0.1:{silent.getsockname()[1]}")))
        self.assertTrue(str(error).endswith("takes too long to answer"), error)
        self.assertTrue(error.passing)


if __name__ == "__main__":
    unittest.main()
