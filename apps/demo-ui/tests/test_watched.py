"""What the dataset monitor sends, read."""

import json
import unittest
from datetime import UTC, datetime

import evidence
import untrusted
import watched
from evidence import Accuracy, ClassShare, Test
from stand_in_monitor import HOSTILE, Monitor, digest
from watched import Action, Decision, Hold

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
        found = one.evidence
        self.assertEqual((found.head, found.reference, found.reference_items, found.held_out), (digest("the head of digits"), digest("the reference of digits"), 10_000, 3000))
        self.assertEqual((found.model, found.version, found.new, found.unpinned), ("mnist", 3, 350, 350))
        change = found.change
        self.assertEqual((change.alarm.after, change.alarm.at, change.alarm.capital), (200, datetime.fromtimestamp(NOW - 1500, UTC), 4.2e7))
        self.assertEqual((change.capital, change.windows, change.observations, change.waiting, change.closes), (4.4e12, 7, 350, 0, None))
        spoke = change.streams[0]
        self.assertEqual((spoke.name, spoke.share, spoke.event, spoke.seen, spoke.usual, spoke.bound), ("sharpness", 0.86, "above 0.117", 1.0, 0.02, 0.034))
        self.assertEqual(len(change.streams), 19)
        compared = {one.stream: one for one in change.comparisons}
        self.assertEqual((compared["label"].chi_square, compared["label"].kolmogorov_smirnov), (Test(11.31, 0.255), None))
        self.assertEqual((compared["sharpness"].chi_square, compared["sharpness"].kolmogorov_smirnov), (None, Test(0.0724, 3.1e-12)))
        self.assertEqual(found.loss.estimated, Accuracy(200, 0.741, 0.603, 0.879))
        self.assertEqual((found.loss.measured.of, found.loss.measured.share, found.loss.matters), (200, 0.69, True))
        self.assertEqual((found.classes[7].label, found.classes[7].new), ("7", 0.28))
        self.assertEqual((found.loudest[0].answer, found.loudest[0].confidence), ("3", 0.41))
        self.assertEqual(found.quality.reasons, (("near-duplicate", 12), ("unreadable", 2)))
        self.assertEqual(len(found.quality.first), 3)

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
        # at the end of the year 9999 there is not every time zone
        for seconds in (1e300, 253_402_300_799, 2**33, -1):
            self.assertIsNone(watched.watched("a", {"lookedAt": seconds}).looked_at)
        self.assertEqual(watched.watched("a", {"lookedAt": 0}).looked_at, datetime.fromtimestamp(0, UTC))
        self.assertEqual(watched.watched("a", {"decision": {"action": ["x"], "by": None}}).decision, Decision(Action.UNKNOWN, "", by=Hold.UNKNOWN))
        empty = watched.watched("a", {"evidence": {}}).evidence
        self.assertEqual((empty.head, empty.new, empty.change.alarm, empty.change.streams, empty.loss, empty.quality), ("", 0, None, (), None, None))
        odd = {"classes": [{"label": 7, "usual": -1, "new": 4}, 3], "loss": {"measured": {"accuracy": 0.5, "interval": [0.4]}}, "loudest": [{"answer": ["a"]}], "change": {"streams": {}, "capital": True}}
        found = watched.watched("a", {"evidence": odd}).evidence
        self.assertEqual([(one.label, one.usual, one.new) for one in found.classes], [("", 0.0, 1.0)])
        self.assertEqual((found.loss.measured, found.loss.matters, found.loudest[0].answer, found.change.capital), (None, False, "", None))

    def test_texts_are_bounded_and_lists_too(self):
        one = known("zz-hostile")
        self.assertLessEqual(max(len(stream.name) for stream in one.evidence.change.streams), untrusted.LONGEST_NAME)
        self.assertNotIn("\u202e", one.evidence.change.streams[0].name)
        self.assertTrue(one.evidence.unknown[0].startswith(HOSTILE))
        self.assertLessEqual(len(one.evidence.unknown[0]), untrusted.LONGEST)
        sent = {"evidence": {"change": {"streams": [{"stream": "a"}] * 10_000}, "unknown": ["a"] * 10_000}}
        found = watched.watched("a", sent).evidence
        self.assertEqual((len(found.change.streams), len(found.unknown)), (evidence.MOST_STREAMS, evidence.MOST_SAID))

    def test_requests_are_read(self):
        one = known("mail")
        self.assertEqual((one.decision.action, one.requests.decision.action), (Action.NOTHING, Action.ISSUE))
        self.assertEqual((one.requests.looked_at, one.requests.opened), (datetime.fromtimestamp(NOW - 300, UTC), "https://github.com/acme/digits/issues/31"))
        found = one.requests.evidence
        self.assertEqual((found.head, found.reference, found.held_out), (digest("the head of mail"), digest("the reference of mail"), 3000))
        self.assertEqual((found.model, found.version, found.left_out, len(found.unknown)), ("mnist", 3, 12, 1))
        self.assertEqual(found.answers[3], ClassShare("Dress", 0.09, 0.34))
        self.assertEqual((found.change.alarm.after, found.change.observations, found.hours), (300, 700, 4))
        self.assertEqual(found.change.closes, datetime.fromtimestamp(NOW + 1500, UTC))
        self.assertEqual((found.loss.measured, found.loss.estimated), (None, Accuracy(600, 0.782, 0.71, 0.854)))
        self.assertIn("access denied", known("notes").requests.failure)

    def test_requests_that_are_not_watched_or_not_known(self):
        self.assertIsNone(known("digits").requests)
        self.assertIsNone(watched.watched("a", {"requests": 7}).requests)
        self.assertEqual(watched.watched("a", {"requests": {}}).requests, watched.Requests(None, None, None, "", ""))
        one = known("asked")
        self.assertEqual((one.evidence, one.requests.evidence.head), (None, ""))
        found = watched.watched("a", {"requests": {"evidence": {}}}).requests.evidence
        self.assertEqual((found.answers, found.change.closes, found.loss, found.left_out), ((), None, None, 0))

    def test_classes_have_their_names(self):
        said = {"label": "is 3", "predicted": "is not 1", "mean": "is 3", "softmax[3]": "above 0.3"}
        classes = [{"label": label} for label in ("a", "b", "", "d")]
        for stream, event, expected in [
            *((stream, event, {"is 3": "is d", "is not 1": "is not b"}.get(event) if stream in evidence.OF_CLASSES else event) for stream, event in said.items()),
            ("label", "is 2", "is 2"),
            ("label", "is 4", "is 4"),
            ("label", "is -1", "is -1"),
        ]:
            sent = {"classes": classes, "answers": classes, "change": {"streams": [{"stream": stream, "event": event}]}}
            one = watched.watched("a", {"evidence": sent, "requests": {"evidence": sent}})
            for found in (one.evidence, one.requests.evidence):
                self.assertEqual(found.change.streams[0].event, expected)


if __name__ == "__main__":
    unittest.main()
