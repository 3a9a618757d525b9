"""Saying that an answer is wrong, and what is right."""

import json
import unittest

import numpy as np

import digit
from access import Access
from models import models
from server import JSON_LENGTH, Request, Server, identified, request_of
from signature import Tensor
from stand_in import StandIn, answers_with, registry, served, tensor, version
from test_digit import drawn
from test_forms import upload
from test_page import SEVEN, VERSIONS, everything, page, shown, text
from test_picture import file, halves

CORRECT = ("POST", "/v2/models/mnist/versions/2/feedback")
ON = {("GET", "/v2"): {"name": "slipway-server", "extensions": ["statistics", "feedback"]}}
IMAGE = request_of(Tensor("image", "FP32", (-1, 1, 28, 28)), np.full((1, 1, 28, 28), 0.2))


class Kept:
    """The server's side: what is said about each request, and how it answers."""

    def __init__(self, *answers):
        self.said: list[tuple[str, dict]] = []
        self.answers = list(answers)

    def __call__(self, query, body):
        self.said.append((query["label"], body))
        return self.answers.pop(0) if self.answers else (201, {"stored": "s3://landing/x.png", "new": True})


def taking(kept: Kept) -> dict:
    return {**answers_with(7, "2"), **ON, CORRECT: kept}


def choose(app, label: str):
    app.pills[0].set_value(label).run()
    return app


def press(app):
    next(button for button in app.button if button.label == "Send").click().run()
    return app


class TheClient(unittest.TestCase):
    def test_a_request_with_an_id_is_otherwise_the_same(self):
        length = int(IMAGE.headers[JSON_LENGTH])
        named = identified(IMAGE, "a-1")
        head = int(named.headers[JSON_LENGTH])
        self.assertEqual(json.loads(named.body[:head]), {**json.loads(IMAGE.body[:length]), "id": "a-1"})
        self.assertEqual(named.body[head:], IMAGE.body[length:])
        plain = Request(b'{"inputs": []}', {"Content-Type": "application/json"})
        self.assertEqual(identified(plain, "b"), Request(b'{"inputs": [], "id": "b"}', plain.headers))

    def test_whether_the_server_takes_feedback(self):
        for answer, expected in [(ON["GET", "/v2"], True), ({"extensions": ["statistics"]}, False), ({"extensions": "feedback"}, False), ({}, False)]:
            with StandIn({("GET", "/v2"): answer}) as server:
                self.assertEqual(Server(Access(server.address)).takes_feedback(), expected)

    def test_labels_are_escaped_in_the_address(self):
        kept = Kept()
        with StandIn({("POST", "/v2/models/a%20b/versions/2/feedback"): kept}) as server:
            Server(Access(server.address)).correct("a b", "2", identified(IMAGE, "a"), "x&label=y/ä?#")
        self.assertEqual(kept.said[0][0], "x&label=y/ä?#")


class ThePicture(unittest.TestCase):
    def test_what_is_asked_is_levels_of_8_bits_and_what_is_shown(self):
        image = digit.from_picture(drawn([(150, 130), (400, 130), (260, 450)]))
        levels = image * 255
        np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
        self.assertTrue((0 < levels).any() and (levels < 254).any())
        self.assertEqual(image.dtype, np.float32)
        np.testing.assert_array_equal(255 - np.asarray(digit.to_picture(image)), np.round(levels))


class ThePage(unittest.TestCase):
    def test_without_feedback_nothing_is_asked(self):
        with page(registry(*VERSIONS), answers_with(7, "2"), SEVEN) as app:
            self.assertEqual(shown(app)["label"], "7")
            self.assertFalse(app.expander or app.pills)

    def test_a_correction_is_sent_with_the_request_that_was_asked(self):
        kept = Kept()
        asked = []
        server = taking(kept)
        infer = server["POST", "/v2/models/mnist/versions/2/infer"]
        server["POST", "/v2/models/mnist/versions/2/infer"] = lambda query, body: asked.append(body) or infer(query, body)
        with page(registry(*VERSIONS), server, SEVEN) as app:
            self.assertEqual(app.expander[0].label, "Not 7?")
            self.assertEqual(app.pills[0].options, list("012345689"))
            self.assertTrue(next(button for button in app.button if button.label == "Send").disabled)
            press(choose(app, "1"))
            self.assertFalse(app.exception)
            self.assertIn("kept as an example of **1**", app.success[0].value)
            self.assertFalse(app.pills)
            self.assertEqual([label for label, _ in kept.said], ["1"])
            self.assertEqual(kept.said[0][1], asked[-1])
            self.assertRegex(asked[-1]["id"], "^[0-9a-f]{32}$")
            # the same question again has the same id, so that it is not asked about twice
            app.run()
            self.assertEqual(asked[-1]["id"], asked[0]["id"])
            self.assertIn("kept as an example", app.success[0].value)

    def test_every_visit_has_ids_of_its_own(self):
        ids = []
        for _ in range(2):
            kept = Kept()
            with page(registry(*VERSIONS), taking(kept), SEVEN) as app:
                press(choose(app, "1"))
            ids.append(kept.said[0][1]["id"])
        self.assertNotEqual(*ids)

    def test_what_is_not_kept_is_said_in_plain_words_and_the_choice_stays(self):
        for answer, says in [
            ((429, {"error": "there is too much feedback at the moment; try again in 20 s"}, {"Retry-After": "20"}), "Too many corrections arrive"),
            ((503, {"error": "the store does not take the feedback now"}, {"Retry-After": "0"}), "does not answer at the moment"),
            ((409, {"error": "there is feedback with another class"}), "was sent already, and the first one counts"),
            ((404, {"error": "this address takes no feedback"}), "takes no corrections any more"),
            ((400, {"error": "`<b>x</b>` is not a class"}), "400: \\`\\<b>x\\</b>\\` is not a class"),
            ((200, b"<html>"), "answered 200"),
        ]:
            # a busy server is asked three times
            kept = Kept(*[answer] * 3)
            with page(registry(*VERSIONS), taking(kept), SEVEN) as app:
                press(choose(app, "3"))
                self.assertFalse(app.exception)
                self.assertIn(says, text(app))
                self.assertFalse(app.success)
                self.assertEqual(app.pills[0].value, "3")
                kept.answers.clear()
                press(app)
                self.assertIn("kept as an example of **3**", app.success[0].value)

    def test_another_drawing_and_another_version_can_be_corrected_too(self):
        kept = Kept()
        server = {**answers_with(1, "3"), **taking(kept), ("POST", "/v2/models/mnist/versions/3/feedback"): kept}
        with page(registry(*VERSIONS), server, SEVEN) as app:
            press(choose(app, "1"))
            app.selectbox[1].select("3").run()
            self.assertEqual(app.expander[0].label, "Not 1?")
            press(choose(app, "7"))
            self.assertEqual([label for label, _ in kept.said], ["1", "7"])
            self.assertEqual(len({body["id"] for _, body in kept.said}), 2)

    def test_hostile_names_are_names(self):
        names = ["**bold**", "<script>alert(1)</script>", "[link](https://example.org)", ":smile:", "a/b"]
        drawing = served(
            "mnist", [tensor("x", "FP32", -1, 1, 28, 28)], [tensor("z", "FP32", -1, 5)], [tensor("z", "FP32", 1, 5, data=[9, 0, 0, 0, 0])], names
        )
        # pictures, because words are not drawn
        kept = Kept((400, {"error": f"the class's name {names[1]} cannot be that of a folder"}))
        server = {**drawing, **ON, ("POST", "/v2/models/mnist/versions/1/feedback"): kept}
        with page(registry(version(1)), server) as app:
            upload(app, file(halves()))
            self.assertEqual(app.expander[0].label, "Not \\*\\*bold\\*\\*?")
            self.assertEqual(app.pills[0].options, ["\\<script>alert(1)\\</script>", "\\[link\\](https://example.org)", "\\:smile:", "a/b"])
            press(app.pills[0].set_value(names[1]).run())
            self.assertIn("\\<script>", text(app))
            self.assertFalse(app.exception)
            self.assertEqual(kept.said[0][0], names[1])

    def test_many_classes_are_a_list(self):
        names = [f"class {at}" for at in range(300)]
        many = served("mnist", [tensor("x", "UINT8", -1, 3, 8, 8)], [tensor("z", "FP32", -1, 300)], lambda _: [tensor("z", "FP32", 1, 300, data=[9] + [0] * 299)], names)
        kept = Kept()
        with page(registry(version(1)), {**many, **ON, ("POST", "/v2/models/mnist/versions/1/feedback"): kept}) as app:
            upload(app, file(halves()))
            right = next(one for one in app.selectbox if one.label == "What is the right answer?")
            self.assertEqual(len(right.options), 299)
            right.select("class 7").run()
            press(app)
            self.assertEqual(kept.said[0][0], "class 7")

    def test_rows_of_a_table_are_not_corrected(self):
        versions, server = models()
        with page(registry(*versions), {**server, **ON}) as app:
            app.selectbox[0].select("wine").run()
            next(button for button in app.button if button.label == "Ask").click().run()
            self.assertFalse(app.exception)
            self.assertNotIn("What is the right answer?", everything(app))


if __name__ == "__main__":
    unittest.main()
