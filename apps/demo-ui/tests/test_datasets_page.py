"""The view of datasets, as Streamlit runs it without a browser."""

import os
import unittest
from contextlib import contextmanager
from unittest.mock import patch

import streamlit as st
from streamlit.testing.v1 import AppTest

import datasets
import last_known
from stand_in_manager import Manager
from stand_in_monitor import HOSTILE, SCRIPT, Monitor
from test_page import APP, NOBODY, SERVER, VERSIONS, everything, page, registry, text
from watched import Watched, watched


@contextmanager
def view(monitor: Monitor | str, dataset: str | None = None, **variables: str):
    """The page before a monitor, on its view of datasets."""
    st.cache_data.clear()
    address = monitor if isinstance(monitor, str) else monitor.address
    variables = {"SLIPWAY_MONITOR_URL": address, "MLFLOW_TRACKING_URI": NOBODY, "SLIPWAY_SERVER_URL": NOBODY, **variables}
    with patch.dict(os.environ, variables), patch("canvas.canvas", return_value=None):
        app = AppTest.from_file(str(APP), default_timeout=30)
        app.query_params["view"] = "datasets"
        if dataset is not None:
            app.query_params["dataset"] = dataset
        yield app.run()


def html(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def parts(app: AppTest) -> list[str]:
    return [one.value for one in app.subheader]


def last_known_of(app: AppTest) -> Watched:
    """What a session knows of the dataset that it shows."""
    return app.session_state[last_known.KEY].named(app.query_params["dataset"])


class Views(unittest.TestCase):
    def test_without_a_monitor_there_is_no_such_view(self):
        with page(registry(*VERSIONS), SERVER) as app:
            self.assertFalse(app.segmented_control)
            app.query_params["view"] = "datasets"
            self.assertEqual(app.run().selectbox[0].value, "mnist")
        # an empty variable, which a manifest sets to take the view away, is none
        with patch.dict(os.environ, {"SLIPWAY_MONITOR_URL": ""}), page(registry(*VERSIONS), SERVER) as app:
            self.assertFalse(app.segmented_control)

    def test_it_stands_between_the_trainings_and_the_pull_requests(self):
        variables = {"SLIPWAY_MANAGER_URL": self.enterContext(Manager()).address, "SLIPWAY_FORGE": "/nonexistent"}
        with Monitor() as monitor, view(monitor, **variables) as app:
            self.assertEqual(app.segmented_control[0].options, ["Ask a model", "Trainings", "Datasets", "Pull requests"])
            self.assertEqual(app.segmented_control[0].value, "Datasets")
            app.segmented_control[0].select("Trainings").run()
            self.assertEqual(app.query_params["view"], "trainings")
            self.assertFalse(app.exception)


class Overview(unittest.TestCase):
    def setUp(self):
        self.monitor = self.enterContext(Monitor())

    def test_each_dataset_has_a_card(self):
        with view(self.monitor) as app:
            self.assertFalse(app.exception)
            for name, state in (("digits", "retrain"), ("fashion", "nothing to do"), ("letters", "held back"), ("mail", "issue"), ("notes", "failing"), ("plates", "failing"), ("signs", "switched off")):
                self.assertIn(f'data-dataset="{name}" data-state="{state}"', html(app))
            # its card says all that is known of one that nobody has looked at
            self.assertEqual([one.key for one in app.button], [f"details of {name}" for name in ("asked", "digits", "fashion", "letters", "mail", "notes", "numbers", "signs", "zz-hostile")])

    def test_a_card_leads_to_its_dataset_and_back(self):
        with view(self.monitor) as app:
            app.button(key="details of fashion").click().run()
            self.assertEqual(app.query_params["dataset"], "fashion")
            self.assertEqual(parts(app), ["Has it changed?", "Does it matter?", "The pictures that speak loudest", "Classes"])
            app.button[0].click().run()
            self.assertNotIn("dataset", app.query_params)
            self.assertIn('data-dataset="digits"', html(app))
            self.assertFalse(app.exception)

    def test_none_says_how_to_begin(self):
        self.monitor.instead = 200, {}
        with view(self.monitor) as app:
            self.assertIn("No dataset is watched", text(app))
            self.assertIn("`monitor: {}`", text(app))
            self.assertFalse(app.exception)

    def test_a_monitor_that_is_away_says_what_to_do(self):
        with view(NOBODY) as app:
            self.assertIn("The dataset monitor does not answer at http://127.0.0.1", text(app))
            self.assertIn("slipway up", text(app))
            self.assertFalse(app.exception)
        with view("ann:marked@nowhere") as app:
            self.assertIn("SLIPWAY_MONITOR_URL is", text(app))
            self.assertNotIn("marked", everything(app))

    def test_one_that_is_not_ready_says_what_it_waits_for(self):
        self.monitor.instead = 503, {"title": "Not ready", "detail": "the dataset store has not answered yet"}
        with view(self.monitor) as app:
            self.assertIn("answered 503: Not ready: the dataset store has not answered yet.", text(app))
            self.assertIn("tries again by itself", text(app))

    def test_one_that_goes_away_leaves_what_was_known(self):
        with view(self.monitor) as app:
            self.assertIn('data-dataset="digits"', html(app))
            st.cache_data.clear()
            self.monitor.instead = 0, {}
            app.run()
            self.assertIn('data-dataset="digits"', html(app))
            self.assertIn("This is what was known before", text(app))
            # also what was not looked at before it went away
            app.button(key="details of fashion").click().run()
            self.assertEqual(app.query_params["dataset"], "fashion")
            self.assertEqual(parts(app)[0], "Has it changed?")
            self.assertIn("This is what was known before", text(app))
            app.button[0].click().run()
            self.assertIn('data-dataset="digits"', html(app))
            self.assertFalse(app.exception)
            st.cache_data.clear()
            self.monitor.instead = None
            self.assertNotIn("This is what was known before", text(app.run()))

    def test_one_that_fails_is_not_asked_by_every_run(self):
        self.monitor.instead = 503, {"title": "Not ready"}
        with view(self.monitor) as app:
            for _ in range(3):
                app.run()
            self.assertIn("answered 503", text(app))
            self.assertLessEqual(len(self.monitor.requests), 2)

    def test_what_is_cut_is_said(self):
        with patch("monitor.MOST_DATASETS", 2):
            with view(self.monitor) as app:
                self.assertIn("These are the first 2 of 10 datasets by name.", text(app))
                self.assertNotIn("fashion", html(app))
            with view(self.monitor, "fashion") as app:
                self.assertIn("or it is not among the first 2 of 10 that are shown", text(app))
        with view(self.monitor) as app:
            self.assertNotIn("These are the first", text(app))

    def test_a_login_in_the_address_is_sent_and_not_shown(self):
        with view(self.monitor.address.replace("://", "://ann:marked@")) as app:
            self.assertIn('data-dataset="digits"', html(app))
            self.assertNotIn("marked", everything(app))
            self.assertEqual(set(self.monitor.authorizations), {"Basic YW5uOm1hcmtlZA=="})


class OneDataset(unittest.TestCase):
    def setUp(self):
        self.monitor = self.enterContext(Monitor())

    def test_it_has_all_that_is_known(self):
        with view(self.monitor, "digits") as app:
            self.assertFalse(app.exception)
            self.assertEqual(parts(app), ["Has it changed?", "Does it matter?", "The pictures that speak loudest", "Classes"])
            self.assertEqual([one.label for one in app.expander], ["11 other streams", "The statistics that people know", "The first that were set aside"])
            for part in ("25 min ago", "29.2 points are lost", "near-duplicate", "1/img_07919.png", "Held out of training"):
                self.assertIn(part, html(app))
            self.assertEqual(len(app.get("vega_lite_chart")), 1)

    def test_what_is_not_known_is_said(self):
        with view(self.monitor, "numbers") as app:
            self.assertIn("Not known: mnist version 3 at http://server.server.svc:8081 does not answer", html(app))
            self.assertIn("none that answers", html(app))
        with view(self.monitor, "plates") as app:
            self.assertIn("access denied", html(app))
            self.assertFalse(parts(app))
            self.assertFalse(app.exception)

    def test_it_has_the_requests(self):
        asked = ["Have the requests changed?", "Does it matter for the requests?", "Answers"]
        with view(self.monitor, "mail") as app:
            self.assertFalse(app.exception)
            self.assertEqual(parts(app)[-3:], asked)
            for part in ("The alarm came after 300 sampled rows", "On the requests, estimated without labels", "700 rows in 4 hours", "is Dress"):
                self.assertIn(part, html(app))
            for part in ("Requests have no labels, so this is an estimate.", "“Here” is the hour of the alarm.", "Bars: the newest hour. Marks: the reference."):
                self.assertIn(part, text(app))
            self.assertEqual(len(app.get("vega_lite_chart")), 2)
        with view(self.monitor, "asked") as app:
            self.assertEqual(parts(app), asked)
            self.assertIn("“Here” is the newest hour.", text(app))
            self.assertFalse(app.exception)

    def test_another_look_at_the_requests_changes_the_page(self):
        requests = self.monitor.datasets()["asked"]["requests"]
        evidence = requests["evidence"]
        # when the next hour is judged moves on, and nothing was learned by that
        later = {**evidence, "change": {**evidence["change"], "closes": 4_000_000_000}}
        with view(self.monitor, "asked") as app:
            for sent, is_known in ((later, True), ({**later, "leftOut": 777}, False)):
                self.monitor.changed["asked"] = {"requests": {**requests, "evidence": sent}}
                known = last_known_of(app)
                self.assertEqual(datasets.learned(watched("asked", self.monitor.datasets()["asked"])) == datasets.learned(known), is_known)
                st.cache_data.clear()
                app.run()
            self.assertIn("<dd>777</dd>", html(app))
            self.assertFalse(app.exception)

    def test_another_look_changes_the_page(self):
        with view(self.monitor, "fashion") as app:
            evidence = self.monitor.datasets()["fashion"]["evidence"]
            self.monitor.changed["fashion"] = {"evidence": {**evidence, "new": 777}}
            st.cache_data.clear()
            app.run()
            self.assertIn("<b>777</b>", html(app))
            self.assertFalse(app.exception)

    def test_one_that_is_unknown_or_gone_is_said(self):
        for name in ("nope", "..", HOSTILE):
            with view(self.monitor, name) as app:
                self.assertIn("No dataset of this name is watched", text(app))
                self.assertNotIn("<img", html(app))
                self.assertFalse(app.exception)
        with view(NOBODY, "digits") as app:
            self.assertIn("does not answer", text(app))
            self.assertFalse(app.exception)

    def test_hostile_texts_stay_texts(self):
        with view(self.monitor, "zz-hostile") as app:
            self.assertFalse(app.exception)
            self.assertNotIn("<img", html(app))
            self.assertNotIn("<script", html(app))
            self.assertNotIn(f'href="{SCRIPT}', html(app))
            self.assertFalse([one for one in app.markdown if one.allow_html])


if __name__ == "__main__":
    unittest.main()
