"""Cards of trials."""

import unittest
from urllib.parse import parse_qs

import live
import trial
from stand_in_manager import Manager


class Cards(unittest.TestCase):
    def setUp(self):
        self.trials = {name: trial.trial(sent) for name, sent in Manager().trials().items()}

    def test_a_card_says_how_far_a_trial_is(self):
        card = live.card(self.trials["mnist-resnet-3f9a1c20"], ("loss", [(10, 2.0), (20, 1.0), (40, 1.5)]))
        self.assertEqual(card["state"], "running")
        self.assertEqual(card["parameters"], [("Learning rate", "0.05"), ("Momentum", "0.9")])
        self.assertEqual((card["percent"], card["remaining"]), (30, "about 30 s left"))
        self.assertEqual(card["curve"], {"name": "loss", "points": [(0, 1), (0.3333, 0), (1, 0.5)], "says": "loss from 2 to 1.5"})
        self.assertRegex(card["notes"], r"^2 workers · local · started 1\d s ago$")

    def test_parameters_have_names_for_a_person(self):
        for name, expected in (
            ("training.optimizer.learningRate", "Learning rate"),
            ("training.schedule.warmupEpochs", "Warm-up epochs"),
            ("training.newPart.itsField", "New part: its field"),
            ("parameters.learningRate", "learningRate"),
            ("workers", "Workers"),
            ("a.b", "a.b"),
        ):
            self.assertEqual(live.title(name), expected)

    def test_one_that_waits_says_why_and_what_to_do(self):
        card = live.card(self.trials["mnist-resnet-c01d5a77"])
        self.assertIn("No node has room", card["reason"])
        self.assertIn("`workers.cpu`", card["advice"])
        self.assertIsNone(card["percent"])
        self.assertRegex(card["notes"], r"^4 workers · local · created 1 min ago$")

    def test_workers_that_do_not_run_yet_are_counted(self):
        states = [{"rank": 0, "phase": "Running"}, {"rank": 1, "phase": "Pending"}]
        self.assertIn("1 of 2 workers run", live.notes(trial.trial({"name": "a", "state": "running", "workers": 2, "workerStates": states})))

    def test_a_name_cannot_leave_its_part_of_the_address(self):
        link = live.address("a&trial=b#c?<")
        self.assertEqual(parse_qs(link.removeprefix("?")), {"view": ["trainings"], "trial": ["a&trial=b#c?<"]})
        self.assertIsNone(live.head(self.trials["mnist-resnet-3f9a1c20"], 8)["link"])

    def test_the_most_telling_metrics_come_first(self):
        self.assertEqual(live.ordered(dict.fromkeys(["b", "a", "test_accuracy", "loss"], 0.0)), ["loss", "test_accuracy", "a", "b"])

    def test_curves_that_cannot_be_drawn_are_none(self):
        self.assertIsNone(live.small("loss", []))
        self.assertIsNone(live.small("loss", [(1, 2.0)]))
        self.assertEqual(live.small("a", [(1, 2.0), (2, 2.0)])["points"], [(0, 0), (1, 0)])

    def test_long_curves_keep_their_ends(self):
        curve = [(at, at * 2.0) for at in range(1000)]
        thin = live.thinned(curve, 50)
        self.assertEqual((len(thin), thin[0], thin[-1]), (50, curve[0], curve[-1]))
        self.assertEqual(live.thinned(curve[:50], 50), curve[:50])

    def test_long_texts_are_bounded(self):
        card = live.card(trial.trial({"name": "a", "reason": "a" * 10_000, "parameters": {str(at): at for at in range(100)}}))
        self.assertEqual((len(card["reason"]), len(card["parameters"])), (live.LONGEST, live.MOST_PARAMETERS))


if __name__ == "__main__":
    unittest.main()
