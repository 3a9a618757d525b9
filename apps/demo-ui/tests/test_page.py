"""The page as Streamlit runs it, without a browser; drawing in a real one is tests/browser's."""

import json
import os
import unittest
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import streamlit as st
from streamlit.testing.v1 import AppTest

from stand_in import StandIn, answers_with, registry, served, tensor, version
from test_digit import drawn, url

APP = Path(__file__).parents[1] / "app.py"
NOBODY = "http://127.0.0.1:9"
SEVEN = url(drawn([(150, 130), (400, 130), (260, 450)]))
VERSIONS = [version(1, accuracy="0.974"), version(2, accuracy="0.981", dataset="mnist-10k", commit="<b>0123456789ab"), version(3, accuracy="0.969")]
SERVER = {**answers_with(1, "3"), **answers_with(7, "2")}


@contextmanager
def page(mlflow: dict | str, server: dict | str, picture: str | None = None):
    """The page after its first run, with `picture` on its canvas."""
    with StandIn(mlflow if isinstance(mlflow, dict) else {}) as one, StandIn(server if isinstance(server, dict) else {}) as two:
        addresses = {
            "MLFLOW_TRACKING_URI": mlflow if isinstance(mlflow, str) else one.address,
            "SLIPWAY_SERVER_URL": server if isinstance(server, str) else two.address,
            # without a person's own ~/.mlflow/credentials
            "HOME": "/nonexistent",
        }
        st.cache_data.clear()
        with patch.dict(os.environ, addresses), patch("canvas.canvas", return_value=picture):
            yield AppTest.from_file(str(APP), default_timeout=20).run()


def shown(app: AppTest) -> dict:
    """What the answer's component got."""
    components = [element.proto for element in app.get("bidi_component")]
    return next(json.loads(each.json) for each in components if each.component_name == "slipway_answer")


def text(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.warning, *app.error, *app.caption])


def everything(app: AppTest) -> str:
    """All that the page sends to a browser."""
    return "\n".join(str(element.proto) for element in [*app.main, *app.get("html"), *app.get("bidi_component")])


class Page(unittest.TestCase):
    def test_it_opens_on_the_version_in_service(self):
        with page(registry(*VERSIONS), SERVER) as app:
            self.assertFalse(app.exception)
            model, chosen = app.selectbox
            self.assertEqual((model.value, chosen.value), ("mnist", "2"))
            self.assertEqual(chosen.options, ["Version 3 · 96.9 %", "Version 2 · in service · 98.1 %", "Version 1 · 97.4 %"])
            self.assertIsNone(shown(app)["label"])
            self.assertEqual([bar["name"] for bar in shown(app)["bars"]], list("0123456789"))
            self.assertIn("Draw a digit", app.get("html")[0].proto.body)

    def test_a_drawing_is_answered_by_the_chosen_version(self):
        with page(registry(*VERSIONS), SERVER, SEVEN) as app:
            self.assertEqual((shown(app)["label"], shown(app)["sure"]), ("7", "91.0 % sure"))
            self.assertEqual([bar["name"] for bar in shown(app)["bars"]], list("0123456789"))
            app.selectbox[1].select("3").run()
            self.assertEqual(shown(app)["label"], "1")

    def test_letters_are_drawn_too_and_logits_become_probabilities(self):
        letters = served(
            "mnist", [tensor("x", "FP32", -1, 1, 28, 28)], [tensor("z", "FP32", -1, 3)], [tensor("z", "FP32", 1, 3, data=[0, 9, 0])], ["A", "B", "C"]
        )
        with page(registry(version(1)), letters, SEVEN) as app:
            self.assertIn("Draw a character", app.get("html")[0].proto.body)
            self.assertEqual((shown(app)["label"], shown(app)["sure"]), ("B", "over 99.9 % sure"))
            self.assertEqual(shown(app)["note"], "Probabilities by softmax of z, whose numbers are not probabilities.")
            self.assertIsNotNone(shown(app)["seen"])

    def test_a_program_has_facts_of_its_own(self):
        mlflow = registry(version(1, seconds="12.3"))
        parameters = {"workers": "2", "parameters.hidden": "128", **{f"z{at:02}": "<i>" for at in range(20)}}
        run = {"info": {"experiment_id": "5"}, "data": {"params": [{"key": key, "value": value} for key, value in parameters.items()]}}
        mlflow["GET", "/api/2.0/mlflow/runs/get"] = {"run": run}
        with page(mlflow, SERVER) as app:
            facts = app.get("html")[-1].proto.body
            for part in ("12.3 s", "Workers", "<dt>hidden</dt><dd>128</dd>", "<dt>z10</dt><dd>&lt;i&gt;</dd>", "and 9 more"):
                self.assertIn(part, facts)
            for part in ("test accuracy", "images/s", "z11", "<i>"):
                self.assertNotIn(part, facts)

    def test_the_facts_are_of_the_chosen_version_and_escaped(self):
        with page(registry(*VERSIONS), SERVER) as app:
            facts = app.get("html")[-1].proto.body
            self.assertIn('data-version="2"', facts)
            for part in ("98.1 %", "Learning rate", "0.003", "mnist-10k", "/#/experiments/5/runs/run2", "&lt;b&gt;"):
                self.assertIn(part, facts)
            self.assertNotIn("<b>0123", facts)

    def test_links_lead_where_a_browser_reaches_mlflow(self):
        with patch.dict(os.environ, {"MLFLOW_PUBLIC_URL": "https://mlflow.example"}), page(registry(*VERSIONS), SERVER) as app:
            self.assertIn("https://mlflow.example/#/experiments/5/runs/run2", app.get("html")[-1].proto.body)

    def test_no_login_is_shown_and_each_is_sent_where_it_belongs(self):
        environment = {"MLFLOW_PUBLIC_URL": "https://ann:marked@mlflow.example"}
        with StandIn(registry(*VERSIONS)) as mlflow, StandIn(SERVER) as server, patch.dict(os.environ, environment):
            with_login = [one.address.replace("://", "://ann:marked%2F@") for one in (mlflow, server)]
            with page(*with_login, SEVEN) as app:
                self.assertEqual(shown(app)["label"], "7")
                self.assertIn('href="https://mlflow.example/#/', app.get("html")[-1].proto.body)
                self.assertNotIn("marked", everything(app))
            for service in (mlflow, server):
                self.assertEqual(set(service.authorizations), {"Basic YW5uOm1hcmtlZC8="})

    def test_errors_show_no_login(self):
        for mlflow in ("http://ann:marked@127.0.0.1:9", "http://ann:9/marked@127.0.0.1", "ann:marked@127.0.0.1", "http://ann:marked@[::"):
            with page(mlflow, "http://ann:marked@127.0.0.1:9", SEVEN) as app:
                self.assertTrue(text(app))
                self.assertFalse(app.exception)
                self.assertNotIn("marked", everything(app))

    def test_a_refused_login_says_which_one(self):
        refusing = {("GET", "/api/2.0/mlflow/registered-models/search"): (401, b"You are not authenticated.")}
        with page(refusing, SERVER) as app:
            self.assertIn("requires a login; set MLFLOW_TRACKING_USERNAME", text(app))
        with patch.dict(os.environ, {"MLFLOW_TRACKING_TOKEN": "marked"}), page(refusing, SERVER) as app:
            self.assertIn("does not accept the login of MLFLOW_TRACKING_TOKEN", text(app))
            self.assertNotIn("marked", everything(app))

    def test_nothing_in_service_opens_on_the_newest(self):
        with page(registry(*VERSIONS), {}) as app:
            self.assertEqual(app.selectbox[1].value, "3")
            self.assertFalse(app.exception)

    def test_no_version_yet_says_what_to_do(self):
        with page(registry(), SERVER) as app:
            self.assertIn("No model is registered yet", text(app))
            self.assertIn("slipway propose", text(app))
            self.assertFalse(app.exception)

    def test_mlflow_down_says_what_to_do(self):
        with page(NOBODY, SERVER) as app:
            self.assertIn(f"MLflow does not answer at {NOBODY}", text(app))
            self.assertIn("slipway up", text(app))
            self.assertFalse(app.exception)

    def test_server_down_keeps_the_page_and_says_what_to_do(self):
        with page(registry(*VERSIONS), NOBODY, SEVEN) as app:
            self.assertIn(f"The model server does not answer at {NOBODY}", text(app))
            self.assertIn("slipway up", text(app))
            self.assertEqual(len(app.selectbox), 2)
            self.assertFalse(app.exception)

    def test_a_server_that_goes_down_leaves_the_drawing(self):
        infer = ("POST", "/v2/models/mnist/versions/2/infer")
        with page(registry(*VERSIONS), {**SERVER, infer: (503, {"error": "queue is full"}, {"Retry-After": "0"})}, SEVEN) as app:
            self.assertIn("answered 503: queue is full. Your drawing is kept. On one machine", text(app))
            self.assertIsNone(shown(app)["label"])
            self.assertFalse(app.exception)

    def test_addresses_that_are_not_set_are_named(self):
        with patch.dict(os.environ), patch("canvas.canvas", return_value=None):
            os.environ.pop("MLFLOW_TRACKING_URI", None)
            os.environ["SLIPWAY_SERVER_URL"] = NOBODY
            app = AppTest.from_file(str(APP), default_timeout=20).run()
            self.assertIn("MLFLOW_TRACKING_URI must be set", text(app))
            self.assertNotIn("SLIPWAY_SERVER_URL", text(app))


if __name__ == "__main__":
    unittest.main()
