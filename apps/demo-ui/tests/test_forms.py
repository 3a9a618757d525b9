"""The page with models that are not drawn, as Streamlit runs it."""

import json
import unittest
from contextlib import contextmanager

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from models import COLUMNS, CULTIVARS, SHIRTS, models
from stand_in import StandIn, registry, served, tensor, version
from test_page import everything, page, shown, text
from test_picture import file, halves, png_that_claims

VERSIONS, SERVER = models()
INFER = ("POST", "/v2/models/wine/versions/1/infer")


@contextmanager
def form(model: str, server: dict | None = None):
    """The page with a model chosen."""
    with page(registry(*VERSIONS), SERVER | (server or {})) as app:
        yield app.selectbox(key="model").select(model).run()


def upload(app: AppTest, content: bytes, name: str = "picture.png") -> AppTest:
    return app.file_uploader[0].upload(name, content, "image/png").run()


def ask(app: AppTest) -> AppTest:
    return next(button for button in app.button if button.label == "Ask").click().run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


class Everywhere(unittest.TestCase):
    def tearDown(self):
        self.assertEqual([error.message for error in self.app.exception], [])


class Pictures(Everywhere):
    def test_a_picture_is_answered_by_name(self):
        with form("fashion") as self.app:
            self.assertIn("Upload a picture", html(self.app))
            self.assertEqual(([bar["name"] for bar in shown(self.app)["bars"]], shown(self.app)["sure"]), (SHIRTS, "No picture yet"))
            upload(self.app, file(Image.new("L", (80, 40), 255)))
            self.assertEqual(shown(self.app)["label"], "Ankle boot")
            self.assertEqual(shown(self.app)["note"], "Probabilities by softmax of logits, whose numbers are not probabilities.")
            self.assertIn("80 × 40 pixels, its middle scaled to 28 × 28, numbers from 0 (black) to 1 (white).", html(self.app))
            self.assertIn("What the model sees", html(self.app))
            # as all numbers too
            self.assertIn("**logits** · FP32 [1, 10]", text(self.app))

    def test_inverted_and_fitted_as_asked(self):
        with form("fashion") as self.app:
            upload(self.app, file(halves("L", left=0, right=255)))
            self.app.checkbox[0].check().run()
            self.app.selectbox[2].select("Add borders").run()
            # a quarter is black ink, and the rest is white paper: inverted, a quarter is bright
            self.assertEqual(shown(self.app)["label"], SHIRTS[round(0.25 * 9)])
            self.assertIn("inverted", html(self.app))

    def test_a_picture_of_any_size_as_bytes(self):
        with StandIn(SERVER) as server, page(registry(*VERSIONS), server.address) as self.app:
            self.app.selectbox(key="model").select("photos").run()
            upload(self.app, file(halves(size=(50, 20))))
            sent = server.requests[-1][3]["inputs"][0]
            self.assertEqual((sent["name"], sent["datatype"], sent["shape"]), ("pixels", "UINT8", [1, 3, 20, 50]))
            self.assertEqual((sent["data"][0], sent["data"][49], sent["data"][1000]), (255, 255, 0))

    def test_what_is_no_picture_is_said(self):
        for content, reason in [(b"hello", "The file is not a picture"), (png_that_claims(9000, 9000), "at most 16 million are allowed, and 20,000 on a side; make it smaller.")]:
            with form("fashion") as self.app:
                upload(self.app, content)
                self.assertIn(reason, text(self.app))
                self.assertIsNone(shown(self.app)["label"])
                self.tearDown()

    def test_the_servers_refusal_is_said(self):
        refusal = (413, {"error": "the body is longer than 4 MiB."})
        with form("fashion", {("POST", "/v2/models/fashion/versions/1/infer"): refusal}) as self.app:
            upload(self.app, file(halves()))
            self.assertIn("The model server answered 413: the body is longer than 4 MiB.", text(self.app))
            self.assertNotIn("slipway up", text(self.app))


class Tables(Everywhere):
    def test_a_row_has_a_field_for_each_column(self):
        with StandIn(SERVER) as server, page(registry(*VERSIONS), server.address) as self.app:
            self.app.selectbox(key="model").select("wine").run()
            self.assertEqual([field.label for field in self.app.number_input], COLUMNS)
            self.assertEqual((shown(self.app)["sure"], [bar["name"] for bar in shown(self.app)["bars"]]), ("Nothing asked yet", CULTIVARS))
            self.app.number_input[0].set_value(2.0)
            self.app.number_input[6].set_value(-0.5)
            ask(self.app)
            self.assertEqual(server.requests[-1][3]["inputs"][0]["data"], [2, 0, 0, 0, 0, 0, -0.5])
            self.assertEqual((shown(self.app)["label"], shown(self.app)["sure"]), ("Barbera", "90.0 % sure"))
            self.assertEqual(shown(self.app)["note"], "Probabilities as the model gives them: probabilities.")

    def test_another_model_is_not_asked_by_itself(self):
        with form("wine") as self.app:
            ask(self.app)
            self.app.selectbox(key="model").select("text").run()
            self.app.selectbox(key="model").select("wine").run()
            self.assertIsNone(shown(self.app)["label"])

    def test_another_version_is_asked_the_same(self):
        another = served("wine", [tensor("x", "FP32", -1, 7, columns=COLUMNS)], [tensor("p", "FP32", -1, 3)], [tensor("p", "FP32", 1, 3, data=[0, 1, 0])])
        server = {(method, path.replace("versions/1", "versions/2")): answer for (method, path), answer in another.items()} | SERVER
        with page(registry(*VERSIONS, version(2, "wine")), server) as self.app:
            self.app.selectbox(key="model").select("wine").run()
            self.app.number_input[0].set_value(2.0)
            ask(self.app)
            self.assertEqual(shown(self.app)["label"], "Barbera")
            self.app.selectbox(key="version of wine").select("2").run()
            self.assertEqual((shown(self.app)["label"], self.app.number_input[0].value), ("1", 2.0))

    def test_rows_are_pasted(self):
        with form("wine") as self.app:
            self.app.radio[0].set_value("Paste CSV").run()
            header = ",".join(["cultivar", *COLUMNS])
            self.app.text_area[0].set_value(f"{header}\na,0,1,1,1,1,1,1\nb,2,1,1,1,1,1,1\n")
            ask(self.app)
            self.assertIn("<td>1</td><td>Barolo</td><td>90.0 %</td></tr><tr><td>2</td><td>Barbera</td>", html(self.app))
            self.assertIn("The model does not take cultivar.", text(self.app))

    def test_many_rows_are_bounded(self):
        with form("wine") as self.app:
            self.app.radio[0].set_value("Paste CSV").run()
            self.app.text_area[0].set_value("\n".join(["1,1,1,1,1,1,1"] * 150))
            ask(self.app)
            self.assertEqual(html(self.app).count("<td>Grignolino</td>"), 100)
            self.assertIn("… and 50 more rows, which the download has", html(self.app))

    def test_a_mistake_has_its_place(self):
        with form("wine") as self.app:
            self.app.radio[0].set_value("Paste CSV").run()
            self.app.text_area[0].set_value("1,1,1,1,1,1,1\n1,1,x,1,1,1,1")
            ask(self.app)
            self.assertIn("Line 2, column 3 (ash): `x` is not a number.", text(self.app))

    def test_whole_numbers_and_a_single_row(self):
        whole = served("ids", [tensor("ids", "INT64", 1, 2)], [tensor("y", "INT64", 1)], [tensor("y", "INT64", 1, data=[2**60 + 1])])
        with page(registry(version(1, "ids")), whole) as self.app:
            self.assertEqual(([field.label for field in self.app.number_input], len(self.app.radio)), (["ids 1", "ids 2"], 0))
            self.app.number_input[1].set_value(7)
            ask(self.app)
            self.assertIn(str(2**60 + 1), self.app.code[0].value)


class Json(Everywhere):
    def test_the_first_request_is_valid(self):
        with form("text") as self.app:
            ask(self.app)
            self.assertIn("**counts** · INT64 [2]", text(self.app))
            self.assertEqual([code.value for code in self.app.code], ["[4 4]", "[[0.]]"])
            self.assertIn("**ids** INT64 [any, 4] · **mask** BOOL [any, 4]", text(self.app))

    def test_the_answer_can_be_downloaded_as_it_came(self):
        with form("text") as self.app:
            ask(self.app)
            self.assertEqual([button.proto.label for button in self.app.get("download_button")], ["Download as JSON"])

    def test_a_mistake_has_its_place(self):
        with form("text") as self.app:
            self.app.text_area[0].set_value('{"inputs": [\n  {"name": ids}\n]}')
            ask(self.app)
            self.assertIn("Line 2, column 12: expecting value.", text(self.app))
            self.assertEqual(self.app.code[0].value, '  {"name": ids}\n           ^')

    def test_the_servers_refusal_is_said(self):
        with form("text") as self.app:
            self.app.text_area[0].set_value(json.dumps({"inputs": []}))
            ask(self.app)
            self.assertIn("The model server answered 400: the input `ids` is missing.", text(self.app))

    def test_an_answer_that_is_no_answer(self):
        answers = [
            {"outputs": [{"name": "\ud800", "datatype": "BYTES", "shape": [1], "data": ["\udfff"]}]},
            {"outputs": [tensor("y", "FP32", 1, 3, data=[None, 1, 2])]},
            {"outputs": [tensor("y", "FP32", 7, data=[[1], {}])]},
            {"outputs": [tensor(f"y{at}", "FP32", 1, data=[1]) for at in range(100)]},
            {"outputs": None},
            {"outputs": [tensor("y", "FP32", 1, 2, data=np.zeros(3).tolist())]},
        ]
        for answer in answers:
            with form("text", {("POST", "/v2/models/text/versions/1/infer"): answer}) as self.app:
                ask(self.app)
                self.assertTrue(self.app.code or self.app.warning, answer)
                self.assertLess(len(self.app.code), 20)
                self.tearDown()


class Signatures(Everywhere):
    def test_a_version_that_cannot_be_asked_says_why(self):
        refusal = (404, {"error": "version 1 of wine has no digest in its tag slipway.digest"})
        with form("wine", {("GET", "/v2/models/wine/versions/1"): refusal}) as self.app:
            self.assertIn("answered 404: version 1 of wine has no digest in its tag slipway.digest. Choose another version.", text(self.app))
            self.assertIn("<h1>Ask a model</h1>", html(self.app))
            self.assertEqual(len(self.app.selectbox), 2)
            # and what is known of it is still shown
            self.assertIn('data-version="1"', html(self.app))

    def test_a_version_of_another_flavour_says_what_runs_it(self):
        with page(registry(version(1, "forest", flavor="sklearn", unservable="it does not take tensors")), {}) as self.app:
            said = "MLflow's flavour `sklearn`. The model server does not run it: it does not take tensors. `mlflow models serve` does."
            self.assertIn(said, text(self.app))

    def test_names_from_a_model_cannot_be_markup(self):
        name = "<img src=x onerror=alert(1)>"
        odd = served(name, [tensor(name, "FP32", -1, 2, columns=[name, "b"])], [tensor(name, "FP32", -1, 2)], [tensor(name, "FP32", 2, 2, data=[1, 0, 0, 1])], [name, "b"])
        server = {(method, path.replace(name, "odd")): answer for (method, path), answer in odd.items()}
        with page(registry(version(1, "odd")), server) as self.app:
            self.app.radio[0].set_value("Paste CSV").run()
            self.app.text_area[0].set_value("1,2\n3,4")
            ask(self.app)
            self.assertNotIn(name, html(self.app))
            self.assertIn("&lt;img src=x", html(self.app))

    def test_no_login_is_shown(self):
        with StandIn(SERVER) as server:
            with page(registry(*VERSIONS), server.address.replace("://", "://ann:marked@")) as self.app:
                for model in ("fashion", "wine", "text"):
                    self.app.selectbox(key="model").select(model).run()
                    self.assertNotIn("marked", everything(self.app))
                ask(self.app)
                self.assertNotIn("marked", everything(self.app))
            self.assertEqual(set(server.authorizations), {"Basic YW5uOm1hcmtlZA=="})


if __name__ == "__main__":
    unittest.main()
