"""The view of pull requests, as Streamlit runs it without a browser."""

import os
import unittest
from contextlib import contextmanager
from unittest.mock import patch

import streamlit as st
from streamlit.testing.v1 import AppTest

from test_page import APP, NOBODY, SERVER, VERSIONS, page, registry, text
from test_pull_requests import Forge
from test_report import CHART, OBJECT

PLAN = f"### Slipway: starts 1 TrainJob\n\n<details><summary><code>local</code>: 1 object</summary>\n\n{OBJECT}\n\n</details>\n\n<!-- slipway:plans {{}} -->\n"
RESULTS = f"### Slipway: 1 trial finished\n\n<details><summary>curves</summary>\n\n{CHART}\n\n</details>\n"


@contextmanager
def view(forge: str):
    """The page before a forge, on its second view."""
    st.cache_data.clear()
    variables = {"SLIPWAY_FORGE": forge, "MLFLOW_TRACKING_URI": NOBODY, "SLIPWAY_SERVER_URL": NOBODY}
    with patch.dict(os.environ, variables), patch("canvas.canvas", return_value=None):
        app = AppTest.from_file(str(APP), default_timeout=20).run()
        yield app.segmented_control[0].select("Pull requests").run()


class View(unittest.TestCase):
    def setUp(self):
        self.forge = Forge()
        self.addCleanup(self.forge.close)

    def test_without_a_forge_there_is_one_view(self):
        with page(registry(*VERSIONS), SERVER) as app:
            self.assertFalse(app.segmented_control)

    def test_with_one_the_page_opens_on_the_first_view(self):
        with patch.dict(os.environ, {"SLIPWAY_FORGE": self.forge.path}), page(registry(*VERSIONS), SERVER) as app:
            self.assertEqual(app.segmented_control[0].value, "Ask a model")
            self.assertEqual(app.selectbox[0].value, "mnist")
            self.assertFalse(app.exception)

    def test_the_newest_is_shown_and_any_can_be_chosen(self):
        self.forge.opens(1, "merged", [RESULTS])
        self.forge.opens(2, "open", [PLAN, "a second part"], branch="slipway/<b>*2*")
        with view(self.forge.path) as app:
            self.assertFalse(app.exception)
            self.assertEqual(app.selectbox[0].options, ["#2 · Train number 2 · open", "#1 · Train number 1 · merged"])
            self.assertIn("starts 1 TrainJob", text(app))
            self.assertIn("a second part", text(app))
            self.assertIn(r"open · slipway/\<b>\*2\* · `slipway merge 2` merges it", text(app))
            self.assertNotIn("slipway:plans", text(app))
            self.assertEqual([one.label for one in app.expander], ["local: 1 object", "&#43; TrainJob training/a"])
            app.selectbox[0].select(1).run()
            self.assertIn(CHART, text(app))
            self.assertNotIn("slipway merge", text(app))
            self.assertFalse(app.exception)

    def test_html_is_never_allowed(self):
        self.forge.opens(1, report=["<script>a</script>\n\n<details><summary><img src=x></summary>\n\n<iframe srcdoc=a></iframe>\n</details>\n"], title="<b>")
        with view(self.forge.path) as app:
            self.assertIn("<script>a</script>", text(app))
            self.assertIn("<iframe srcdoc=a>", text(app))
            self.assertFalse([one for one in app.markdown if one.allow_html])
            self.assertFalse([one for one in app.get("html") if "<script" in one.proto.body or "<b>" in one.proto.body])

    def test_what_is_missing_is_said(self):
        with view(self.forge.path) as app:
            self.assertIn("There is no pull request yet. `slipway propose", " ".join(text(app).split()).replace("**", ""))
        self.forge.opens(7)
        with view(self.forge.path) as app:
            self.assertIn("`slipway report 7` writes it", text(app))
        with view("/nonexistent/forge.git") as app:
            self.assertIn("/nonexistent/forge.git cannot be read", text(app))
            self.assertIn("slipway up", text(app))
            self.assertFalse(app.exception)


if __name__ == "__main__":
    unittest.main()
