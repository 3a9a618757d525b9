"""What the dataset monitor sends, read."""

import json
import unittest
from datetime import UTC, datetime

import untrusted
import watched
from stand_in_monitor import HOSTILE, Monitor, digest
from watched import Accuracy, Action, Decision, Hold, Test

NOW = 1_800_000_000


def known(name: str) -> watched.Watched:
    """A dataset of the stand-in, as the page reads it."""
    sent = json.loads(json.dumps(Monitor(clock=lambda: NOW).datasets()))
    return watched.watched(name, sent[name])


class Reading(unittest.TestCase):
    def test_all_that_is_sent_is_read(self):
        one = known("digits")
        self.assertEqual((one.enabled, one.failure, one.opened), (True, "", "https://github.com/acme/digits/pull/7"))
        self.assertEqual(one.looked_at, datetime.fromtimestamp(NOW - 40, UTC))
        self.assertEqual((one.decision.action, one.decision.number, one.decision.by), (Action.OPENED, 7, None))
        evidence = one.evidence
        self.assertEqual((evidence.head, evidence.reference, evidence.reference_items, evidence.held_out), (digest("the head of digits"), digest("the reference of digits"), 10_000, 3000))
        self.assertEqual((evidence.model, evidence.version, evidence.new, evidence.unpinned), ("mnist", 3, 350, 350))
        change = evidence.change
        self.assertEqual((change.alarm.after, change.alarm.at, change.alarm.capital), (200, datetime.fromtimestamp(NOW - 1500, UTC), 4.2e7))
        self.assertEqual((change.capital, change.windows, change.observations, change.waiting, change.closes), (4.4e12, 7, 350, 0, None))
        spoke = change.streams[0]
        self.assertEqual((spoke.name, spoke.share, spoke.event, spoke.seen, spoke.usual, spoke.bound), ("sharpness", 0.86, "above 0.117", 1.0, 0.02, 0.034))
        self.assertEqual(len(change.streams), 19)
        compared = {one.stream: one for one in change.comparisons}
        self.assertEqual((compared["label"].chi_square, compared["label"].kolmogorov_smirnov), (Test(11.31, 0.255), None))
        self.assertEqual((compared["sharpness"].chi_square, compared["sharpness"].kolmogorov_smirnov), (None, Test(0.0724, 3.1e-12)))
        self.assertEqual(evidence.loss.estimated, Accuracy(200, 0.741, 0.603, 0.879))
        self.assertEqual((evidence.loss.measured.of, evidence.loss.measured.share, evidence.loss.matters), (200, 0.69, True))
        self.assertEqual((evidence.classes[7].label, evidence.classes[7].new), ("7", 0.28))
        self.assertEqual((evidence.loudest[0].answer, evidence.loudest[0].confidence), ("3", 0.41))
        self.assertEqual(evidence.quality.reasons, (("near-duplicate", 12), ("unreadable", 2)))
        self.assertEqual(len(evidence.quality.first), 3)

    def test_what_holds_something_back_has_its_end(self):
        decision = known("letters").decision
        self.assertEqual((decision.action, decision.retrain, decision.by, decision.until), (Action.HELD_BACK, True, Hold.COOLDOWN, datetime.fromtimestamp(NOW + 5 * 3600, UTC)))
        self.assertEqual(known("signs").decision.by, Hold.SWITCH)

    def test_what_is_not_there_is_not_known(self):
        one = known("plates")
        self.assertEqual((one.evidence, one.decision, one.looked_at, one.opened), (None, None, None, ""))
        self.assertIn("access denied", one.failure)
        one = known("numbers")
        self.assertEqual((one.evidence.model, one.evidence.version, one.evidence.loss), ("", None, None))
        self.assertEqual((one.evidence.silent, one.evidence.loudest[0].answer), (datetime.fromtimestamp(NOW - 1500, UTC), ""))

    def test_values_of_other_kinds_are_not_known(self):
        for sent in (None, 7, [], "a", {"evidence": 7, "decision": [], "lookedAt": "now", "enabled": 1, "opened": 3, "failure": {}}):
            one = watched.watched("a", sent)
            self.assertEqual((one.enabled, one.evidence, one.decision, one.looked_at, one.opened, one.failure), (False, None, None, None, "", ""))
        self.assertEqual(watched.watched("a", {"lookedAt": 1e300}).looked_at, None)
        self.assertEqual(watched.watched("a", {"decision": {"action": ["x"], "by": None}}).decision, Decision(Action.UNKNOWN, "", by=Hold.UNKNOWN))
        empty = watched.watched("a", {"evidence": {}}).evidence
        self.assertEqual((empty.head, empty.new, empty.change.alarm, empty.change.streams, empty.loss, empty.quality), ("", 0, None, (), None, None))
        odd = {"classes": [{"label": 7, "usual": -1, "new": 4}, 3], "loss": {"measured": {"accuracy": 0.5, "interval": [0.4]}}, "loudest": [{"answer": ["a"]}], "change": {"streams": {}, "capital": True}}
        evidence = watched.watched("a", {"evidence": odd}).evidence
        self.assertEqual([(one.label, one.usual, one.new) for one in evidence.classes], [("", 0.0, 1.0)])
        self.assertEqual((evidence.loss.measured, evidence.loss.matters, evidence.loudest[0].answer, evidence.change.capital), (None, False, "", None))

    def test_texts_are_bounded_and_lists_too(self):
        one = known("zz-hostile")
        self.assertLessEqual(max(len(stream.name) for stream in one.evidence.change.streams), untrusted.LONGEST_NAME)
        self.assertNotIn("\u202e", one.evidence.change.streams[0].name)
        self.assertTrue(one.evidence.unknown[0].startswith(HOSTILE))
        self.assertLessEqual(len(one.evidence.unknown[0]), untrusted.LONGEST)
        sent = {"evidence": {"change": {"streams": [{"stream": "a"}] * 10_000}, "unknown": ["a"] * 10_000}}
        evidence = watched.watched("a", sent).evidence
        self.assertEqual((len(evidence.change.streams), len(evidence.unknown)), (watched.MOST_STREAMS, watched.MOST_SAID))


if __name__ == "__main__":
    unittest.main()
