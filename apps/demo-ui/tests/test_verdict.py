"""What a person reads about a dataset first."""

import unittest
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import verdict
from stand_in_monitor import Monitor
from test_watched import known
from verdict import Answer, State
from watched import Action, Decision, Hold, Watched, watched


class Verdict(unittest.TestCase):
    def test_each_dataset_stands_somewhere(self):
        states = {name: verdict.state(watched(name, sent)) for name, sent in Monitor().datasets().items()}
        self.assertEqual(
            states,
            {
                "asked": State.QUIET,
                "digits": State.RETRAIN,
                "fashion": State.QUIET,
                "letters": State.HELD,
                "mail": State.ISSUE,
                "notes": State.FAILING,
                "numbers": State.ISSUE,
                "plates": State.FAILING,
                "signs": State.OFF,
                "zz-hostile": State.FAILING,
            },
        )
        self.assertEqual(verdict.state(watched("a", {"enabled": True})), State.UNSEEN)
        self.assertEqual(verdict.state(watched("a", {"enabled": True, "decision": {"action": "sings"}})), State.UNKNOWN)

    def test_the_worst_of_data_and_requests_counts(self):
        def state(data: dict, requests: dict, enabled: bool = True) -> State:
            return verdict.state(watched("a", {"enabled": enabled, **data, "requests": requests}))

        # the worst first; the requests alone are enough, and so are the data
        kinds = [{"failure": "no"}, *({"decision": {"action": action}} for action in ("heldBack", "retrain", "issue", "nothing")), {}]
        states = [State.FAILING, State.HELD, State.RETRAIN, State.ISSUE, State.QUIET, State.UNSEEN]
        for one, kind in enumerate(kinds):
            for other, less in enumerate(kinds):
                self.assertEqual(state(kind, less), states[min(one, other)])
                self.assertEqual(state(kind, less, enabled=False), State.OFF)

    def test_have_the_requests_changed(self):
        mail = known("mail").requests
        self.assertEqual(verdict.requests_changed(mail), Answer("yes", "after 300 sampled rows · mean above 0.264", loud=True))
        self.assertEqual(verdict.requests_matter(mail), Answer("yes", "by an estimate: accuracy 91.1 % → 78.2 %", loud=True))
        self.assertEqual((verdict.done(mail), verdict.opened(mail)), (Answer("an issue", "a person looks at it", loud=True), ("Issue #31", 31)))
        quiet = known("asked").requests
        self.assertEqual(verdict.requests_changed(quiet), Answer("no", "as far as anybody can tell"))
        self.assertEqual(verdict.requests_matter(known("notes").requests), verdict.NOT_KNOWN)
        none = watched("a", {"requests": {"evidence": {}}}).requests
        self.assertEqual(verdict.requests_changed(none), Answer("not yet known", "no hour of the sample had requests yet"))
        self.assertEqual(verdict.requests_changed(watched("a", {"requests": {}}).requests), verdict.NOT_KNOWN)

    def test_has_it_changed(self):
        self.assertEqual(verdict.changed(known("digits")), Answer("yes", "after 200 new items · sharpness above 0.117", loud=True))
        self.assertEqual(verdict.changed(known("fashion")), Answer("no", "as far as anybody can tell"))
        self.assertEqual(verdict.changed(known("plates")), verdict.NOT_KNOWN)
        self.assertEqual(verdict.changed(watched("a", {"evidence": {}})), Answer("no", "nothing is new"))
        self.assertEqual(verdict.changed(watched("a", {"evidence": {"new": 7}})), Answer("not yet known", "no window is full or an hour old"))

    def test_does_it_matter(self):
        self.assertEqual(verdict.matters(known("digits")), Answer("yes", "accuracy 98.2 % → 69.0 %, measured", loud=True))
        self.assertEqual(verdict.matters(known("letters")), Answer("no", "accuracy 95.0 % → 93.4 %, estimated"))
        self.assertEqual(verdict.matters(known("numbers")), verdict.NOT_KNOWN)

    def test_what_is_done(self):
        self.assertEqual(verdict.done(known("digits")).says, "retrain pull request")
        self.assertEqual(verdict.done(known("fashion")), Answer("nothing"))
        self.assertEqual(verdict.done(known("numbers")), Answer("an issue", "a person looks at it", loud=True))
        self.assertIn("a bare repository has no issues", verdict.done(replace(known("numbers"), opened="")).more)
        self.assertIn("none is open yet", verdict.done(replace(known("digits"), opened="", decision=Decision(Action.RETRAIN, ""))).more)
        # one that is switched off says what it would have done
        self.assertEqual(verdict.done(known("signs")), Answer("nothing", "it would have opened an issue"))
        until = datetime.now(UTC) + timedelta(hours=5, minutes=1)
        held = replace(known("letters"), decision=Decision(Action.HELD_BACK, "", retrain=True, by=Hold.COOLDOWN, until=until))
        self.assertRegex(verdict.done(held).more, r"^the retrain pull request waits until \d+ \w+, \d\d:\d\d UTC, in about 5 h: the last")
        self.assertIn("waits for now: something holds it back", verdict.done(replace(held, decision=Decision(Action.HELD_BACK, "", by=Hold.UNKNOWN))).more)

    def test_what_was_opened_has_its_name(self):
        def opened(place: str, action: Action = Action.RETRAIN, number: int | None = None) -> tuple[str, int | None]:
            return verdict.opened(Watched("a", True, None, Decision(action, "", number), None, place, ""))

        self.assertEqual(opened("https://github.com/acme/digits/pull/7"), ("Pull request #7", 7))
        self.assertEqual(opened("https://github.com/acme/digits/issues/9", Action.ISSUE), ("Issue #9", 9))
        # as crates/forge/src/bare/mod.rs writes it
        self.assertEqual(opened("/srv/forge.git (refs/pull/12/head)"), ("Pull request #12", 12))
        self.assertEqual(opened("", Action.OPENED, 3), ("Pull request #3", 3))
        self.assertEqual(opened("elsewhere", Action.ISSUE), ("Issue", None))
        self.assertEqual(opened(""), ("", None))


if __name__ == "__main__":
    unittest.main()
