"""Cancelling trials and experiments: the question, and the pull request."""

import tempfile
import unittest

import streamlit as st
from streamlit.testing.v1 import AppTest

import cancelling
import trial
from stand_in_manager import HOSTILE, SCRIPT, TOKEN, Manager
from test_page import everything
from test_trainings_page import RUNNING, WAITING, said, view

BUTTON = "Open the pull request that cancels it"


class Words(unittest.TestCase):
    def live(self, **states: int) -> list[trial.Trial]:
        return [trial.trial({"name": f"{state}-{at}", "state": state}) for state, count in states.items() for at in range(count)]

    def test_a_trial_stops_or_does_not_start(self):
        for sent, expected in [
            ({"state": "waiting", "workers": 2}, "Then it does not start."),
            ({"state": "running", "workers": 1}, "Then its worker stops, and what it has trained so far is lost."),
            ({"state": "running", "workers": 4, "run": {"id": "a"}}, "Then its 4 workers stop, and what it has trained so far is lost. Its run in MLflow stays."),
        ]:
            self.assertEqual(cancelling._of_a_trial(trial.trial({"name": "a", **sent})), expected)

    def test_the_trials_of_an_experiment_are_counted(self):
        for states, expected in [
            ({"running": 1}, "Then the trial that runs stops, and what it has trained so far is lost."),
            ({"running": 2, "waiting": 1}, "Then the 2 trials that run stop, and what they have trained so far is lost; the trial that waits does not start."),
            ({"waiting": 3}, "Then the 3 trials that wait do not start."),
        ]:
            self.assertEqual(cancelling._of_an_experiment(self.live(**states)), f"{expected} What has ended stays as it is.")


class Cancelling(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager())
        token = self.enterContext(tempfile.NamedTemporaryFile("w"))
        print(TOKEN, file=token, flush=True)
        self.file = {"SLIPWAY_MANAGER_TOKEN_FILE": token.name}

    def asks(self, app: AppTest, what: str = "trial") -> AppTest:
        return next(one for one in app.button if one.label == f"Cancel this {what}").click().run()

    def opens(self, app: AppTest) -> AppTest:
        return next(one for one in app.button if one.label == BUTTON).click().run()

    def labels(self, app: AppTest) -> list[str]:
        return [one.label for one in app.button]

    def posts(self) -> list[tuple[str, dict]]:
        return [(path, body) for method, path, _, body in self.manager.requests if method == "POST"]

    def test_it_is_asked_first(self):
        with view(self.manager, RUNNING, **self.file) as app:
            self.assertNotIn(BUTTON, self.labels(app))
            self.asks(app)
            self.assertIn("nothing stops before a person merges it. Then its 2 workers stop, and what it has trained so far is lost", said(app))
            self.assertFalse(self.posts())
            self.opens(app)
            self.assertEqual(self.posts(), [(f"/trials/{RUNNING}/cancel", {"environment": "local"})])
            self.assertIn(f"Pull request #43 is open: Cancel {RUNNING} (1 TrainJob). Nothing stops before a person merges it.", said(app))
            link = app.get("link_button")[0].proto
            self.assertEqual((link.label, link.url), ("Pull request #43", "https://github.com/acme/digits/pull/43"))
            self.opens(app)
            self.assertIn("Pull request #43 is open already", said(app))
            self.assertNotIn(TOKEN, everything(app))
            self.assertFalse(app.exception)

    def test_only_what_waits_or_runs_can_be_cancelled(self):
        ended = next(name for name, one in self.manager.trials().items() if one["state"] == "finished")
        for name, expected in ((WAITING, True), (ended, False), ("hostile-00000001", False)):
            with view(self.manager, name, **self.file) as app:
                self.assertEqual("Cancel this trial" in self.labels(app), expected)
        with view(self.manager, experiment="mnist-cnn", **self.file) as app:
            self.assertNotIn("Cancel this experiment", self.labels(app))

    def test_the_question_stays_while_the_page_changes_and_goes_when_the_trial_has_ended(self):
        with view(self.manager, RUNNING, **self.file) as app:
            self.asks(app)
            self.manager.changed[RUNNING] = {"workers": 3}
            st.cache_data.clear()
            self.assertIn(BUTTON, self.labels(app.run()))
            self.manager.changed[RUNNING] = {"state": "finished"}
            st.cache_data.clear()
            self.assertNotIn(BUTTON, self.labels(app.run()))

    def test_an_experiment_is_cancelled_as_a_whole(self):
        with view(self.manager, experiment="mnist-resnet", **self.file) as app:
            self.asks(app, "experiment")
            self.assertIn("Then the 2 trials that run stop", said(app))
            self.opens(app)
            self.assertEqual(self.posts(), [("/experiments/mnist-resnet/cancel", {"environment": "local"})])
            self.assertIn("Pull request #43 is open: Cancel mnist-resnet (4 TrainJobs)", said(app))
            self.assertFalse(app.exception)

    def test_of_several_environments_this_one_is_meant_unless_a_person_says_all(self):
        self.manager.environments = ["local", "staging"]
        with view(self.manager, RUNNING, **self.file) as app:
            self.asks(app)
            self.assertEqual(app.radio[0].options, ["only in local", "in all environments: local, staging"])
            self.opens(app)
            app.radio[0].set_value(True).run()
            self.opens(app)
            self.assertEqual([body for _, body in self.posts()], [{"environment": "local"}, {}])

    def test_what_is_refused_is_said_in_plain_words(self):
        path = f"/trials/{RUNNING}/cancel"
        with view(self.manager, RUNNING, **self.file) as app:
            self.asks(app)
            for answer, expected in [
                ((401, {"title": "This needs a token", "detail": "nobody has it"}), "does not accept this token: nobody has it."),
                ((403, {"title": "Whoever has this token may not do that", "detail": "ann may only read"}), "That is not allowed: ann may only read."),
                ((409, {"title": "That cannot be done as things are", "detail": f"{HOSTILE} is too late"}), "That cannot be done as things are: \\<img"),
                ((0, None), "If it was only late, the pull request may be there"),
                ((201, {"number": 7, "url": SCRIPT, "branch": "a", "title": HOSTILE}), "Pull request #7 is open: \\<img"),
            ]:
                self.manager.instead[path] = answer
                self.opens(app)
                self.assertIn(expected, said(app))
                self.assertFalse(app.exception)
            self.assertFalse(app.get("link_button"))

    def test_without_a_file_the_token_is_asked_for_once(self):
        with view(self.manager, RUNNING) as app:
            self.asks(app)
            self.opens(app)
            self.assertIn("Give your GitHub token first", said(app))
            self.assertFalse(self.posts())
            first, second = (one for one in app.text_input if one.label == "Your GitHub token")
            first.set_value(TOKEN).run()
            self.assertEqual([one.value for one in app.text_input if one.label == "Your GitHub token"], [TOKEN] * 2)
            self.opens(app)
            self.assertIn("Pull request #43 is open", said(app))

    def test_on_one_machine_a_command_merges_it(self):
        self.manager.instead[f"/trials/{RUNNING}/cancel"] = 201, {"number": 5, "url": "/srv/forge.git (refs/pull/5/head)", "branch": "a", "title": "Cancel a"}
        with view(self.manager, RUNNING, SLIPWAY_FORGE="/nonexistent", **self.file) as app:
            self.asks(app)
            self.opens(app)
            self.assertIn("`slipway merge 5` merges it.", said(app))


if __name__ == "__main__":
    unittest.main()
