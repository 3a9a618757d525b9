"""The client of the training manager, against a stand-in on loopback."""

import socket
import unittest
from unittest.mock import patch

import manager
from access import service
from manager import Confusion, Finding, Kind, Manager, ManagerError, Proposal
from stand_in_manager import HOSTILE, SOURCE, TOKEN
from stand_in_manager import Manager as StandIn


class Client(unittest.TestCase):
    def setUp(self):
        self.stand_in = self.enterContext(StandIn(clock=lambda: 1_800_000_000.0))
        self.manager = Manager(service("SLIPWAY_MANAGER_URL", self.stand_in.address))

    def refused(self, call, *arguments) -> ManagerError:
        with self.assertRaises(ManagerError) as raised:
            call(*arguments)
        return raised.exception

    def test_trials_come_newest_first_from_as_many_answers_as_it_takes(self):
        trials, more = self.manager.trials()
        self.assertEqual((len(trials), more), (15, False))
        self.assertTrue(all((one.created or one.started) >= (next.created or next.started) for one, next in zip(trials, trials[1:], strict=False)))
        with patch("manager.PAGE", 4):
            self.assertEqual(self.manager.trials(), (trials, False))
            self.assertEqual(self.manager.trials(6), (trials[:6], True))
        self.assertEqual([query for *_, query, _ in self.stand_in.requests][-2:], [{"limit": "4"}, {"limit": "2", "after": "4"}])

    def test_trials_are_narrowed_down(self):
        waiting, _ = self.manager.trials(state="waiting")
        self.assertEqual([one.name for one in waiting], ["mnist-resnet-c01d5a77"])

    def test_a_trial_an_experiment_and_their_names(self):
        self.assertEqual(self.manager.trial("mnist-resnet-c01d5a77").workers, 4)
        self.assertEqual(self.manager.experiment("mnist-cnn").source, SOURCE)
        self.assertEqual(self.manager.experiments(), {"mnist-cnn", "mnist-mlp", "mnist-resnet", "hostile"})

    def test_curves_are_ordered_and_of_numbers(self):
        curves = self.manager.curves("mnist-resnet-5e0c7b19")
        self.assertEqual(list(curves), ["loss", "validation_accuracy", "images_per_second"])
        self.assertEqual(curves["loss"][0][0], 10)
        self.assertEqual(list(self.manager.curves("mnist-resnet-5e0c7b19", "loss")), ["loss"])
        points = [[3, 1, 0], [1, 2.5], [2, None, 0], ["4", 1, 0], [5], 6, [1, 3, 9], [True, 1, 0]]
        self.stand_in.instead["/trials/a/metrics"] = 200, {"metrics": {"loss": points, "b": None}}
        self.assertEqual(self.manager.curves("a"), {"loss": [(1, 3), (3, 1)], "b": []})

    def test_a_confusion_matrix_or_none(self):
        found = self.manager.confusion("hostile-00000001")
        self.assertEqual((len(found.counts), found.labels[3]), (10, HOSTILE))
        self.assertIsNone(self.manager.confusion("mnist-resnet-c01d5a77"))
        self.stand_in.instead["/trials/a/confusion"] = 200, {"labels": [0, 1], "counts": [[1, 2], [3, 4]]}
        self.assertEqual(self.manager.confusion("a"), Confusion(("0", "1"), ((1, 2), (3, 4))))
        for counts in ([[1, 2]], [[1], [2]], [[1, -2], [3, 4]], [[1, 2.5], [3, 4]], "ab", [1, 2], []):
            self.stand_in.instead["/trials/a/confusion"] = 200, {"labels": [0, 1], "counts": counts}
            self.assertIn("no confusion matrix", str(self.refused(self.manager.confusion, "a")))

    def test_of_a_log_the_end_is_kept(self):
        self.assertTrue(self.manager.log("mnist-resnet-5e0c7b19", 0, 7).endswith("killed\n"))
        self.assertEqual(self.refused(self.manager.log, "mnist-resnet-c01d5a77", 0, 7).status, 404)
        self.stand_in.instead["/trials/a/workers/0/log"] = 200, b"x" * 70_000 + b"\xff the end\n"
        with patch("manager.LONGEST_LOG", 20):
            self.assertEqual(self.manager.log("a", 0, 100), "x" * 10 + "\ufffd the end\n")
        self.assertEqual(self.stand_in.requests[-1][2], {"tailLines": "100"})

    def test_names_stay_in_their_place(self):
        for name in ("a/../b", ".", "..", "", "a?b#c", "a b", "ä", "%2e"):
            self.assertEqual(self.refused(self.manager.trial, name).status, 404)
        paths = [path for _, path, *_ in self.stand_in.requests]
        self.assertEqual(paths, ["/trials/a%2F..%2Fb", "/trials/a%3Fb%23c", "/trials/a%20b", "/trials/%C3%A4", "/trials/%252e"])

    def test_a_pull_request_is_opened_with_the_token(self):
        source = SOURCE.replace("name: mnist-cnn", "name: mnist-cnn-2")
        opened = self.manager.propose("mnist-cnn-2", source, TOKEN)
        self.assertEqual(opened, Proposal(42, "https://github.com/acme/digits/pull/42", "slipway/mnist-cnn-2", "Train mnist-cnn-2", False))
        method, path, _, body = self.stand_in.requests[-1]
        self.assertEqual((method, path, body), ("POST", "/experiments", {"name": "mnist-cnn-2", "source": source}))
        self.manager.trials()
        self.assertEqual(self.stand_in.authorizations[-2:], [f"Bearer {TOKEN}", None])

    def test_a_cancellation_is_a_pull_request(self):
        name = "mnist-resnet-3f9a1c20"
        opened = self.manager.cancel(Kind.TRIAL, name, "local", TOKEN)
        self.assertEqual((opened.number, opened.title, opened.existed), (43, f"Cancel {name} (1 TrainJob)", False))
        self.assertTrue(self.manager.cancel(Kind.TRIAL, name, "local", TOKEN).existed)
        self.assertEqual(self.manager.cancel(Kind.EXPERIMENT, "mnist-resnet", None, TOKEN).number, 44)
        bodies = [(path, body) for method, path, _, body in self.stand_in.requests if method == "POST"]
        self.assertEqual(bodies[1:], [(f"/trials/{name}/cancel", {"environment": "local"}), ("/experiments/mnist-resnet/cancel", {})])
        self.assertEqual(self.refused(self.manager.cancel, Kind.TRIAL, "..", "local", TOKEN).status, 404)

    def test_findings_have_their_places(self):
        source = SOURCE.replace("[0.001, 0.003, 0.01]", "[fast]")
        error = self.refused(self.manager.propose, "mnist-cnn", source, TOKEN)
        self.assertEqual((error.status, error.passing), (422, False))
        self.assertEqual(error.findings, (Finding(11, 39, "`fast` is not a number", f"write a number, such as 0.001, not {HOSTILE}"),))
        self.stand_in.instead["/experiments"] = 422, {"findings": [7, {}, {"line": "1", "column": -1, "message": None}] + [{"line": 1}] * 100}
        self.assertEqual(len(self.refused(self.manager.propose, "a", "", TOKEN).findings), manager.MOST_FINDINGS - 1)

    def test_a_refused_token_is_not_repeated(self):
        error = self.refused(self.manager.propose, "a", SOURCE, "marked")
        self.assertEqual(str(error), "The training manager answered 401: This needs a token: GitHub does not know this token")
        self.assertFalse(error.passing)

    def test_errors_say_what_was_answered(self):
        for answer, message, passing in [
            ((404, {"title": "Not found.", "detail": "there is no a."}), "The training manager answered 404: Not found: there is no a", False),
            ((503, {"title": "Not ready", "detail": "Not ready"}), "The training manager answered 503: Not ready", True),
            ((429, "slow down\n"), "The training manager answered 429: slow down", True),
            ((500, b"\xff"), "The training manager answered 500: \ufffd", True),
            ((400, []), "The training manager answered 400: []", False),
            ((302, {}), "The training manager answered 302: {}", False),
            ((200, "[1]"), "The manager's answer is not a JSON object", False),
            ((200, "[" * 100_000), "The manager's answer is not a JSON object", False),
            ((200, {"name": ""}), "The manager's answer cannot be read: there is no name in {'name': ''}", False),
        ]:
            self.stand_in.instead["/trials/a"] = answer
            error = self.refused(self.manager.trial, "a")
            self.assertEqual((str(error), error.passing), (message, passing))
        self.stand_in.instead["/trials"] = 200, {"trials": None}
        self.assertIn("no trials", str(self.refused(self.manager.trials)))

    def test_long_answers_are_refused(self):
        with patch("rest.LONGEST_ANSWER", 1000):
            self.assertIn("longer than", str(self.refused(self.manager.trials)))

    def test_a_manager_that_is_away_or_slow_may_answer_later(self):
        error = self.refused(Manager(service("X", "http://ann:marked@127.0.0.1:9")).trials)
        self.assertEqual((str(error), error.passing), ("The training manager does not answer at http://127.0.0.1:9", True))
        with socket.create_server(("127.0.0.1", 0)) as silent, patch.object(Manager, "timeout", (3, 0.05)):
            error = self.refused(Manager(service("X", f"http://127.0.0.1:{silent.getsockname()[1]}")).trials)
        self.assertTrue(str(error).endswith("takes too long to answer"), error)
        self.assertTrue(error.passing)
        with patch("rest.LONGEST_WAIT", -1):
            self.assertIn("takes too long", str(self.refused(self.manager.trials)))


if __name__ == "__main__":
    unittest.main()
