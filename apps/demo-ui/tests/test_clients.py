"""What the page reads from MLflow and asks the model server."""

import unittest

import numpy as np

from access import Access, service
from registry import Registry, RegistryError, run_page
from server import JSON_LENGTH, LONGEST_ANSWER, Server, ServerError, request_of
from signature import Tensor
from stand_in import StandIn, answers_with, registry, served, tensor, version

NOBODY = "http://127.0.0.1:9"  # the discard port; nothing listens
IMAGE = request_of(Tensor("image", "FP32", (-1, 1, 28, 28)), np.full((1, 1, 28, 28), 0.25))
INFER = ("POST", "/v2/models/mnist/versions/2/infer")


class ReadsTheRegistry(unittest.TestCase):
    def test_versions_come_newest_first_by_number(self):
        with StandIn(registry(version(9), version(10), version(2))) as mlflow:
            self.assertEqual([each.number for each in Registry(Access(mlflow.address)).versions("mnist")], ["10", "9", "2"])

    def test_all_pages_are_read(self):
        pages = {None: {"model_versions": [version(1)], "next_page_token": "more"}, "more": {"model_versions": [version(2)]}}
        answers = {("GET", "/api/2.0/mlflow/model-versions/search"): lambda query, _: pages[query.get("page_token")]}
        with StandIn(answers) as mlflow:
            self.assertEqual(len(Registry(Access(mlflow.address)).versions("mnist")), 2)

    def test_a_version_that_is_not_ready_is_left_out(self):
        with StandIn(registry(version(1), {**version(2), "status": "PENDING_REGISTRATION"})) as mlflow:
            self.assertEqual([each.number for each in Registry(Access(mlflow.address)).versions("mnist")], ["1"])

    def test_a_quote_in_a_name_cannot_change_the_filter(self):
        with StandIn(registry(version(1))) as mlflow:
            Registry(Access(mlflow.address)).versions("a' OR name='b")
            self.assertEqual(mlflow.requests[0][2]["filter"], "name='a'' OR name=''b'")

    def test_tags_as_text_and_figures(self):
        with StandIn(registry(version(1, accuracy="0.981", commit="abc", seconds="soon"))) as mlflow:
            found = Registry(Access(mlflow.address)).versions("mnist")[0]
        self.assertEqual((found.figure("accuracy"), found.tag("commit")), (0.981, "abc"))
        self.assertEqual((found.figure("seconds"), found.tag("dataset")), (None, None))

    def test_a_run_has_its_parameters_and_its_page(self):
        with StandIn(registry(version(1))) as mlflow:
            run = Registry(service("MLFLOW_TRACKING_URI", mlflow.address + "/")).run("run1")
            self.assertEqual(run.parameters["training.optimizer.learningRate"], "0.003")
            self.assertEqual(run_page("https://mlflow.example/", run), "https://mlflow.example/#/experiments/5/runs/run1")

    def test_errors_name_the_address(self):
        with self.assertRaisesRegex(RegistryError, f"does not answer at {NOBODY}"):
            Registry(Access(NOBODY)).models()
        with StandIn({("GET", "/api/2.0/mlflow/registered-models/search"): (500, {"message": "database is gone"})}) as mlflow:
            with self.assertRaisesRegex(RegistryError, "answered 500.*database is gone"):
                Registry(Access(mlflow.address)).models()
        with StandIn({("GET", "/api/2.0/mlflow/registered-models/search"): b"<html>"}) as mlflow:
            with self.assertRaises(RegistryError):
                Registry(Access(mlflow.address)).models()


class AsksTheServer(unittest.TestCase):
    def test_an_answer(self):
        with StandIn(answers_with(7, "2")) as server:
            answer = Server(Access(server.address)).ask("mnist", "2", IMAGE)
            body = server.requests[0][3]
        self.assertEqual((answer.version, [output.name for output in answer.outputs]), ("2", ["probabilities", "label"]))
        self.assertEqual((answer.outputs[1].datatype, answer.outputs[1].shape, answer.outputs[1].data), ("INT64", (1,), [7]))
        sent = body["inputs"][0]
        self.assertEqual((sent["name"], sent["datatype"], sent["shape"], sent["data"]), ("image", "FP32", [1, 1, 28, 28], [0.25] * 784))

    def test_the_version_in_service(self):
        with StandIn({("GET", "/v2/models/mnist"): {"name": "mnist", "versions": ["3"]}}) as server:
            self.assertEqual(Server(Access(server.address)).in_service("mnist"), "3")
            self.assertIsNone(Server(Access(server.address)).in_service("another"))

    def test_a_busy_server_is_asked_again(self):
        answers = [(503, {"error": "queue is full"}, {"Retry-After": "0.05"}), answers_with(4, "2")[INFER](None, {"inputs": []})]
        with StandIn({INFER: lambda *_: answers.pop(0)}) as server:
            self.assertEqual(Server(Access(server.address)).ask("mnist", "2", IMAGE).outputs[1].data, [4])

    def test_a_server_that_stays_busy_is_an_error(self):
        with StandIn({INFER: (503, {"error": "queue is full"}, {"Retry-After": "0"})}) as server:
            with self.assertRaisesRegex(ServerError, "503: queue is full"):
                Server(Access(server.address)).ask("mnist", "2", IMAGE)
            self.assertEqual(len(server.requests), 3)

    def test_errors_say_what_the_server_said(self):
        with self.assertRaisesRegex(ServerError, f"does not answer at {NOBODY}"):
            Server(Access(NOBODY)).ask("mnist", "2", IMAGE)
        with StandIn({}) as server, self.assertRaisesRegex(ServerError, "404: no such model"):
            Server(Access(server.address)).ask("mnist", "2", IMAGE)
        for answer, reason in [
            ({"outputs": []}, "has no outputs"),
            ({"outputs": {}}, "has no outputs"),
            ({"outputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}, "an output without name, datatype, shape and data"),
            ({"outputs": [7]}, "an output without name"),
            ([1], "answered 200: "),
            (b"[" * 100_000, "answered 200: "),
            ((200, b"{}", {JSON_LENGTH: "2"}), "in binary form"),
            ((400, {"error": "the input `x` is missing."}), "400: the input `x` is missing$"),
            ((500, b"\xff"), "500: "),
            ((200, b" " * (LONGEST_ANSWER + 1)), "longer than 8 MiB"),
            ((200, b"{}", {"Content-Length": "9"}), "ended its answer early"),
        ]:
            with StandIn({INFER: answer}) as server, self.assertRaisesRegex(ServerError, reason):
                Server(Access(server.address)).ask("mnist", "2", IMAGE)

    def test_errors_that_may_pass_are_told_from_others(self):
        for answer, passing in [((404, {}), False), ((400, {}), False), ((503, {}, {"Retry-After": "0"}), True), ((500, {}), True)]:
            with StandIn({INFER: answer}) as server, self.assertRaises(ServerError) as raised:
                Server(Access(server.address)).ask("mnist", "2", IMAGE)
            self.assertEqual(raised.exception.passing, passing, answer)

    def test_a_signature(self):
        inputs, outputs = [tensor("x", "FP32", -1, 2, columns=["age", "height"])], [tensor("logits", "FP32", -1, 3)]
        with StandIn(served("m", inputs, outputs, [], labels=["a", "b", "\ud800"])) as server:
            found = Server(Access(server.address)).signature("m", "1")
        self.assertEqual(found.inputs, (Tensor("x", "FP32", (-1, 2), ("age", "height")),))
        self.assertEqual((found.outputs, found.labels), ((Tensor("logits", "FP32", (-1, 3)),), ("a", "b", "?")))

    def test_a_signature_that_is_none(self):
        good = tensor("x", "FP32", -1, 2)
        for member, value, reason in [
            ("inputs", None, "has no inputs"),
            ("outputs", [], "has no outputs"),
            ("inputs", [7], r"for inputs\[0\]"),
            ("inputs", [{**good, "shape": [-1, "2"]}], "no name, datatype and shape"),
            ("inputs", [{**good, "shape": [-2]}], "no name, datatype and shape"),
            ("inputs", [tensor("x", "FP32", -1, 2, columns=["age"])], r"1 columns for inputs\[0\], whose shape is \[-1, 2\]"),
            ("labels", {"a": 1}, "labels that are not a list"),
            ("inputs", [{**good, "columns": "ab"}], r"inputs\[0\] has columns that are not a list"),
        ]:
            metadata = {"inputs": [good], "outputs": [good], member: value}
            with StandIn({("GET", "/v2/models/m/versions/1"): metadata}) as server, self.assertRaisesRegex(ServerError, reason):
                Server(Access(server.address)).signature("m", "1")


if __name__ == "__main__":
    unittest.main()
