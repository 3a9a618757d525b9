"""The view of trainings, as Streamlit runs it without a browser."""

import json
import os
import tempfile
import unittest
from contextlib import contextmanager
from unittest.mock import patch

import streamlit as st
from streamlit.testing.v1 import AppTest

from stand_in_manager import ARCHIVED, HOSTILE, SCRIPT, TOKEN, Manager
from test_page import APP, NOBODY, SERVER, VERSIONS, everything, page, registry, text

RUNNING, WAITING, FAILED = "mnist-resnet-3f9a1c20", "mnist-resnet-c01d5a77", "mnist-resnet-5e0c7b19"


@contextmanager
def view(manager: Manager | str, trial: str | None = None, experiment: str | None = None, **variables: str):
    """The page before a manager, on its view of trainings."""
    st.cache_data.clear()
    address = manager if isinstance(manager, str) else manager.address
    variables = {"SLIPWAY_MANAGER_URL": address, "MLFLOW_TRACKING_URI": NOBODY, "SLIPWAY_SERVER_URL": NOBODY, **variables}
    with patch.dict(os.environ, variables), patch("canvas.canvas", return_value=None):
        app = AppTest.from_file(str(APP), default_timeout=30)
        app.query_params["view"] = "trainings"
        for name, value in (("trial", trial), ("experiment", experiment)):
            if value is not None:
                app.query_params[name] = value
        yield app.run()


def components(app: AppTest, name: str) -> list[dict]:
    """What the components of one kind got."""
    return [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.component_name == name]


def cards(app: AppTest) -> dict[str, dict]:
    return {card["name"]: card for component in components(app, "slipway_trials") for card in component["cards"]}


def charts(app: AppTest) -> list[dict]:
    """The specifications of the charts."""
    return [json.loads(one.proto.spec) for one in app.get("vega_lite_chart")]


def said(app: AppTest) -> str:
    return " ".join([text(app), *(one.value for one in app.success), *(one.value for one in app.code)])


class Views(unittest.TestCase):
    def test_without_a_manager_there_is_no_such_view(self):
        with page(registry(*VERSIONS), SERVER) as app:
            self.assertFalse(app.segmented_control)

    def test_the_views_have_their_order_and_their_addresses(self):
        with Manager() as manager, patch.dict(os.environ, {"SLIPWAY_MANAGER_URL": manager.address, "SLIPWAY_FORGE": "/nonexistent"}):
            with page(registry(*VERSIONS), SERVER) as app:
                self.assertEqual(app.segmented_control[0].options, ["Ask a model", "Trainings", "Pull requests"])
                self.assertEqual(app.segmented_control[0].value, "Ask a model")
                app.segmented_control[0].select("Trainings").run()
                self.assertEqual(app.query_params["view"], "trainings")
                self.assertEqual([one.value for one in app.subheader], ["Now", "Ended", "Compare"])
                app.segmented_control[0].select("Ask a model").run()
                self.assertNotIn("view", app.query_params)
                self.assertFalse(app.exception)

    def test_an_address_that_leads_nowhere_leads_to_the_first_view(self):
        with page(registry(*VERSIONS), SERVER) as app:
            app.query_params["view"] = "trainings"
            self.assertEqual(app.run().selectbox[0].value, "mnist")
        with Manager() as manager, view(manager) as app:
            app.query_params["view"] = "<b>"
            self.assertEqual(app.run().segmented_control[0].value, "Ask a model")


class Overview(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager())

    def test_what_runs_waits_or_failed_is_a_card(self):
        with view(self.manager) as app:
            self.assertFalse(app.exception)
            self.assertEqual(list(cards(app)), ["mnist-resnet-81b7d4e6", RUNNING, WAITING, FAILED])
            self.assertIsNotNone(cards(app)[RUNNING]["curve"])
            self.assertIn("left", cards(app)[RUNNING]["remaining"])
            self.assertIn("No node has room", cards(app)[WAITING]["reason"])
            self.assertIn("ran out of memory", cards(app)[FAILED]["reason"])
            self.assertIn("workers.memory", cards(app)[FAILED]["advice"])

    def test_nothing_says_how_to_begin(self):
        self.manager.without_trials = True
        with view(self.manager) as app:
            self.assertIn("Nothing runs right now", said(app))
            self.assertIn("slipway propose", said(app))
            self.assertIn("No training has ended yet", said(app))
            self.assertFalse(app.exception)

    def test_the_table_has_what_differs(self):
        with view(self.manager) as app:
            table = app.dataframe[0].value
            self.assertEqual(len(table), 12)
            self.assertEqual(table["trial"][0], FAILED)
            app.multiselect[0].select("mnist-cnn").run()
            self.assertEqual(
                list(app.dataframe[0].value),
                ["trial", "state", "ended", "parameter training.optimizer.learningRate", "parameter model.dropout", "metric loss", "metric validation_accuracy"]
                + ["metric test_accuracy", "metric images_per_second", "duration", "cpu hours", "cost USD", "version"],
            )
            app.multiselect[1].select("refused").run()
            self.assertEqual(set(app.dataframe[0].value["state"]), {"refused"})
            app.multiselect[0].unselect("mnist-cnn").select("mnist-mlp").run()
            self.assertIn("No trial is like that", said(app))
            self.assertFalse(app.exception)

    def test_a_parameter_can_be_plotted_against_a_result(self):
        with view(self.manager) as app:
            app.multiselect[0].select("mnist-cnn").run()
            across, up, colour = app.selectbox
            self.assertEqual((across.options, across.value), (["Learning rate", "Dropout"], "parameter training.optimizer.learningRate"))
            self.assertEqual(up.value, "metric test_accuracy")
            self.assertEqual((colour.options, colour.value), (["None", "Dropout", "State"], "parameter model.dropout"))
            chart = charts(app)[0]
            self.assertEqual(chart["encoding"]["x"]["title"], "Learning rate")
            across.select("parameter model.dropout").run()
            app.selectbox[1].select("duration").run()
            chart = charts(app)[0]
            self.assertEqual((chart["encoding"]["x"]["title"], chart["encoding"]["y"]["title"]), ("Dropout", "Duration, min"))
            self.assertFalse(app.exception)

    def test_a_parameter_that_cannot_be_drawn_is_not_chosen_first(self):
        self.manager.changed[FAILED] = {"parameters": {"parameters.learningRate": 0.5}, "metrics": {}}
        self.manager.changed["mnist-mlp-77aa10ff"] = {"parameters": {"parameters.learningRate": 0.1}, "metrics": {}}
        with view(self.manager) as app:
            across, up, _ = app.selectbox
            self.assertEqual(across.options[0], "learningRate")
            self.assertEqual((across.value, up.value), ("parameter training.optimizer.learningRate", "metric test_accuracy"))
            self.assertEqual(charts(app)[0]["encoding"]["x"]["title"], "Learning rate")
            across.select("parameter parameters.learningRate").run()
            self.assertIn("No trial has both learningRate and test accuracy: choose another one.", said(app))
            self.assertFalse(app.exception)

    def test_what_was_replaced_or_cancelled_stays_with_a_mark(self):
        name = "mnist-mlp-77aa10ff"
        self.manager.changed[name] = {"state": "finished", "removed": "replaced", "metrics": {"test_accuracy": 0.97}}
        with view(self.manager) as app:
            table = app.dataframe[0].value
            self.assertEqual(list(table["state"][table["trial"] == name]), ["finished, replaced"])
            self.assertFalse(app.exception)
        with view(self.manager, name) as app:
            self.assertIn("A later change of its experiment replaced it", said(app))
            self.assertIn("replaced by a later change", components(app, "slipway_trials")[0]["cards"][0]["notes"])
            self.assertFalse(app.exception)

    def test_a_trial_that_ends_moves_to_the_table(self):
        with view(self.manager) as app:
            self.assertNotIn(RUNNING, list(app.dataframe[0].value["trial"]))
            self.manager.changed[RUNNING] = {"state": "finished", "progress": None, "ended": "2026-01-01T00:00:00Z"}
            st.cache_data.clear()
            app.run()
            self.assertNotIn(RUNNING, cards(app))
            self.assertIn(RUNNING, list(app.dataframe[0].value["trial"]))

    def test_a_manager_that_goes_away_leaves_what_was_known(self):
        with view(self.manager) as app:
            self.manager.instead["/trials"] = 503, {"title": "Not ready"}
            st.cache_data.clear()
            app.run()
            self.assertIn("answered 503: Not ready", said(app))
            self.assertNotIn("Nothing runs", said(app))
            self.assertFalse(app.exception)

    def test_a_manager_that_is_away_says_what_to_do(self):
        with view(NOBODY) as app:
            self.assertIn("The training manager does not answer at http://127.0.0.1", said(app))
            self.assertIn("slipway up", said(app))
            self.assertFalse(app.exception)
        with view("ann:marked@nowhere") as app:
            self.assertIn("SLIPWAY_MANAGER_URL is", said(app))
            self.assertNotIn("marked", everything(app))

    def test_a_login_in_the_address_is_sent_and_not_shown(self):
        with view(self.manager.address.replace("://", "://ann:marked@")) as app:
            self.assertEqual(len(cards(app)), 4)
            self.assertNotIn("marked", everything(app))
            self.assertEqual(set(self.manager.authorizations), {"Basic YW5uOm1hcmtlZA=="})


class OneExperiment(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager())

    def test_it_has_its_own_trials_alone(self):
        with view(self.manager, experiment="mnist-resnet") as app:
            self.assertEqual(list(cards(app)), ["mnist-resnet-81b7d4e6", RUNNING, WAITING, FAILED])
            self.assertEqual(list(app.dataframe[0].value["trial"]), [FAILED])
            self.assertIn("an experiment on mnist-10k · 4 trials", "".join(one.proto.body for one in app.get("html")))
            self.assertEqual([one.label for one in app.expander], ["Copy with changed values"])
            self.assertFalse(app.exception)
        with view(self.manager, experiment="mnist-cnn") as app:
            self.assertEqual(len(app.dataframe[0].value), 9)
            self.assertIn("A copy with changed values, below", said(app))
            self.assertEqual([one.label for one in app.multiselect], ["States"])

    def test_trials_and_the_table_lead_to_it_and_it_leads_back(self):
        with view(self.manager, RUNNING) as app:
            next(one for one in app.button if one.label == "All of mnist-resnet").click().run()
            self.assertEqual(app.query_params["experiment"], "mnist-resnet")
            self.assertNotIn("trial", app.query_params)
            app.button[0].click().run()
            self.assertNotIn("experiment", app.query_params)
            app.multiselect[0].select("mnist-cnn").run()
            next(one for one in app.button if one.label == "Open mnist-cnn →").click().run()
            self.assertEqual(len(app.dataframe[0].value), 9)
            self.assertFalse(app.exception)

    def test_one_that_is_unknown_is_said(self):
        for name in ("nope", "..", HOSTILE):
            with view(self.manager, experiment=name) as app:
                self.assertIn("There is no experiment of this name", said(app))
                self.assertFalse(app.exception)
                self.assertNotIn("<img", "".join(one.proto.body for one in app.get("html")))


class Trial(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager())

    def finished(self) -> str:
        return next(name for name, one in self.manager.trials().items() if one["state"] == "finished")

    def test_a_running_trial_has_progress_curves_and_a_log(self):
        with view(self.manager, RUNNING) as app:
            self.assertFalse(app.exception)
            (card,) = cards(app).values()
            self.assertEqual((card["name"], card["state"], card["link"]), (RUNNING, "running", None))
            self.assertEqual([one.value for one in app.subheader], ["Curves", "Log"])
            (log,) = components(app, "slipway_log")
            self.assertTrue(log["follow"])
            self.assertIn("meeting the other workers", log["lines"][0][1])
            app.toggle[0].set_value(False).run()
            self.assertFalse(components(app, "slipway_log")[0]["follow"])
            self.assertFalse(app.exception)

    def test_a_trial_that_ended_has_its_confusion_matrix_and_facts(self):
        with view(self.manager, self.finished()) as app:
            self.assertFalse(app.exception)
            (matrix,) = components(app, "slipway_confusion")
            self.assertEqual((len(matrix["rows"]), matrix["labels"][0]), (10, "0"))
            facts = "".join(one.proto.body for one in app.get("html"))
            for part in ("CPU-hours", "USD", "mnist-10k", "/pull/17", "open in MLflow", "trial-facts", 'data-testid="workers"'):
                self.assertIn(part, facts)
            self.assertFalse(app.toggle)

    def test_one_of_the_history_has_everything_but_its_workers(self):
        with view(self.manager, ARCHIVED) as app:
            self.assertFalse(app.exception)
            facts = "".join(one.proto.body for one in app.get("html"))
            for part in ("CPU-hours", "USD", "mnist-10k", "/pull/17", "open in MLflow", "trial-facts"):
                self.assertIn(part, facts)
            self.assertNotIn('data-testid="workers"', facts)

    def test_one_that_waits_has_nothing_to_draw_yet(self):
        with view(self.manager, WAITING) as app:
            self.assertFalse(app.exception)
            self.assertIn("No node has room", cards(app)[WAITING]["reason"])
            self.assertIn("There is nothing to draw yet", said(app))
            self.assertIn("There is no log yet", said(app))

    def test_metrics_can_be_chosen(self):
        with view(self.manager, self.finished()) as app:
            self.assertEqual(app.pills[0].options, ["loss", "validation accuracy", "images per second"])
            self.assertEqual(len(charts(app)), 2)

    def test_up_to_four_trials_are_compared(self):
        with view(self.manager, self.finished()) as app:
            compared = app.multiselect[0]
            self.assertTrue(all(name.startswith("mnist-cnn-") for name in compared.options[:8]), compared.options)
            for name in compared.options[:3]:
                compared.select(name)
            app.run()
            self.assertEqual(compared.options[0].split(" · ")[1], "Learning rate 0.01, Dropout 0.5")
            names = [self.finished(), *(option.split(" · ")[0] for option in compared.options[:3])]
            self.assertEqual(charts(app)[0]["encoding"]["color"]["scale"]["domain"], names)
            legend = next(one.proto.body for one in app.get("html") if "legend" in one.proto.body)
            self.assertTrue(all(f"<b>{name}</b> <span>Learning rate" in legend for name in names), legend)
            self.assertEqual(len(app.dataframe[0].value), 4)
            self.assertFalse(app.exception)

    def test_the_log_of_each_worker(self):
        with view(self.manager, RUNNING) as app:
            app.selectbox[0].select(1).run()
            self.assertIn("rank=1", components(app, "slipway_log")[0]["lines"][0][1])

    def test_a_trial_that_is_unknown_is_said(self):
        for name in ("nope", "..", HOSTILE, "a/../b"):
            with view(self.manager, name) as app:
                self.assertIn("There is no trial of this name", said(app))
                self.assertFalse(app.exception)
                self.assertNotIn("<img", "".join(one.proto.body for one in app.get("html")))
                app.button[0].click().run()
                self.assertNotIn("trial", app.query_params)
                self.assertEqual([one.value for one in app.subheader][:2], ["Now", "Ended"])

    def test_hostile_texts_are_texts(self):
        with view(self.manager, "hostile-00000001") as app:
            self.assertFalse(app.exception)
            html = "".join(one.proto.body for one in app.get("html"))
            for part in ("<img", "<script", SCRIPT):
                self.assertNotIn(part, html)
            for part in ("\u202e", "\x1b"):
                self.assertNotIn(part, everything(app))
            self.assertLess(len(everything(app)), 400_000)
            self.assertFalse([one for one in (*app.markdown, *app.caption) if one.allow_html])
            lines = [line for _, line in components(app, "slipway_log")[0]["lines"]]
            self.assertIn(f"red bell </pre><script>document.title = 'hostile'</script> {HOSTILE}", lines)
            self.assertIn("written  right to left", lines)

    def test_parts_that_cannot_be_had_leave_the_others(self):
        name = self.finished()
        for part in ("metrics", "confusion", "workers/0/log"):
            self.manager.instead[f"/trials/{name}/{part}"] = 500, {"title": f"no {part}"}
        self.manager.instead["/experiments/mnist-cnn"] = 500, {"title": "no experiment"}
        with view(self.manager, name) as app:
            self.assertFalse(app.exception)
            for part in ("no metrics", "no confusion", "no workers/0/log", "no experiment"):
                self.assertIn(part, said(app))
            self.assertIn("mnist-10k", "".join(one.proto.body for one in app.get("html")))


class Copy(unittest.TestCase):
    def setUp(self):
        self.manager = self.enterContext(Manager())
        token = self.enterContext(tempfile.NamedTemporaryFile("w"))
        print(TOKEN, file=token, flush=True)
        self.file = {"SLIPWAY_MANAGER_TOKEN_FILE": token.name}
        self.name = next(name for name, one in self.manager.trials().items() if one["state"] == "finished")

    def field(self, app: AppTest, label: str):
        return next(one for one in app.text_input if one.label.startswith(label))

    def opens(self, app: AppTest) -> AppTest:
        return next(one for one in app.button if one.label == "Open a pull request").click().run()

    def test_the_form_has_the_file_with_a_new_name(self):
        with view(self.manager, self.name, **self.file) as app:
            self.assertEqual([one.label for one in app.expander], ["Copy with changed values"])
            self.assertEqual(self.field(app, "Name").value, "mnist-cnn-2")
            self.assertEqual(self.field(app, "Learning rate").value, "0.001, 0.003, 0.01")
            self.assertIn("  name: mnist-cnn-2  ", app.text_area[0].value)
            self.assertEqual(app.text_area[0].label, "experiments/mnist-cnn-2.yaml")
            self.assertNotIn("cancelled", app.text_area[0].value)

    def test_fields_and_text_follow_each_other(self):
        with view(self.manager, self.name, **self.file) as app:
            self.field(app, "Dropout").set_value("0.4").run()
            self.assertIn("model.dropout: [0.4]", app.text_area[0].value)
            self.field(app, "Name").set_value("mine").run()
            self.assertIn("  name: mine  ", app.text_area[0].value)
            app.text_area[0].set_value(app.text_area[0].value.replace("[0.4]", "[0.5, 0.6]").replace("name: mine", "name: yours")).run()
            self.assertEqual((self.field(app, "Dropout").value, self.field(app, "Name").value), ("0.5, 0.6", "yours"))
            next(one for one in app.button if one.label == "Begin again").click().run()
            self.assertEqual(self.field(app, "Name").value, "mnist-cnn-2")
            self.assertFalse(app.exception)

    def test_a_pull_request_is_opened(self):
        with view(self.manager, self.name, **self.file) as app:
            self.field(app, "Dropout").set_value("0.4").run()
            self.opens(app)
            self.assertIn("Pull request #42 is open: Train mnist-cnn-2. Merging it starts the training.", said(app))
            link = app.get("link_button")[0].proto
            self.assertEqual((link.label, link.url), ("Pull request #42", "https://github.com/acme/digits/pull/42"))
            method, path, _, body = next(one for one in self.manager.requests if one[0] == "POST")
            self.assertEqual((method, path, body["name"]), ("POST", "/experiments", "mnist-cnn-2"))
            self.assertIn("model.dropout: [0.4]", body["source"])
            self.assertNotIn(TOKEN, everything(app))
            self.assertFalse(app.exception)

    def test_one_that_is_open_already_is_said_and_no_other_address_is_a_link(self):
        opened = {"number": 7, "url": SCRIPT, "branch": "a", "title": HOSTILE, "existed": True}
        self.manager.instead["/experiments"] = 200, {**opened, "experiments": []}
        with view(self.manager, self.name, **self.file) as app:
            self.opens(app)
            self.assertIn("Pull request #7 is open already", said(app))
            self.assertFalse(app.get("link_button"))
            self.assertNotIn(" <img", said(app).replace("\\<", ""))

    def test_mistakes_are_shown_at_their_lines(self):
        with view(self.manager, self.name, **self.file) as app:
            self.field(app, "Dropout").set_value("fast").run()
            self.opens(app)
            self.assertIn("There is 1 mistake to mend", said(app))
            self.assertIn("**Line 12, column 21**: \\`fast\\` is not a number", said(app))
            self.assertIn("  12 |     model.dropout: [fast]\n     |                     ^", app.code[0].value)
            self.assertIn("write a number, such as 0.001", said(app))
            self.field(app, "Dropout").set_value("0.4").run()
            self.assertIn("1 mistake to mend", said(app))
            self.opens(app)
            self.assertNotIn("1 mistake to mend", said(app))

    def test_without_a_file_a_person_gives_a_token_for_this_session(self):
        with view(self.manager, self.name) as app:
            self.assertIn("sends it to the training manager with this request, and stores it nowhere", said(app))
            self.opens(app)
            self.assertIn("Give your GitHub token first", said(app))
            self.assertFalse([one for one in self.manager.requests if one[0] == "POST"])
            self.field(app, "Your GitHub token").set_value("marked").run()
            self.opens(app)
            self.assertIn("The training manager does not accept this token: GitHub does not know this token", said(app))
            self.assertNotIn("marked", said(app))
            self.field(app, "Your GitHub token").set_value(TOKEN).run()
            self.opens(app)
            self.assertIn("Pull request #42 is open", said(app))
            self.assertFalse(app.exception)

    def test_an_experiment_that_is_gone_cannot_be_copied(self):
        for status in (404, 200):
            self.manager.instead["/experiments/mnist-cnn"] = status, {"name": "mnist-cnn", "source": ""}
            with view(self.manager, self.name, **self.file) as app:
                self.assertIn("no longer on the default branch", said(app))
                self.assertFalse(app.text_area)
                self.assertFalse(app.exception)


if __name__ == "__main__":
    unittest.main()
