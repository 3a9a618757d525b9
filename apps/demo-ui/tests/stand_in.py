"""Stand-ins for MLflow and the model server on loopback. Each test sets their answers."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import numpy as np

from server import JSON_LENGTH
from signature import NUMPY


class StandIn:
    """Answers `(method, path)` from `answers`: a body, `(status, body)`, `(status, body, headers)`, or a function of the request."""

    def __init__(self, answers: dict):
        self.answers = answers
        self.requests: list[tuple[str, str, dict, dict | None]] = []
        # The header of each request; None if it has none.
        self.authorizations: list[str | None] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer("GET", None)

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer("POST", read(content, int(self.headers[JSON_LENGTH] or len(content))))

            def answer(self, method, body):
                url = urlparse(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                stand_in.requests.append((method, url.path, query, body))
                stand_in.authorizations.append(self.headers["Authorization"])
                answer = stand_in.answers.get((method, url.path), (404, {"error": "no such model"}))
                if callable(answer):
                    answer = answer(query, body)
                status, content, headers = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
                text = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "StandIn":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()


def read(content: bytes, json_length: int) -> dict:
    """A request's body; tensors in binary form become lists."""
    body, rest = json.loads(content[:json_length]), content[json_length:]
    for tensor in body["inputs"]:
        if size := tensor.get("parameters", {}).pop("binary_data_size", None):
            data, rest = np.frombuffer(rest[:size], NUMPY[tensor["datatype"]]), rest[size:]
            assert data.size == math.prod(tensor["shape"]), tensor
            tensor["data"] = data.tolist()
    assert not rest, "bytes are left over"
    return body


def version(number: int, model: str = "mnist", **tags: str) -> dict:
    """A registered version in MLflow's form."""
    return {
        "name": model,
        "version": str(number),
        "run_id": f"run{number}",
        "status": "READY",
        "tags": [{"key": f"slipway.{key.replace('_', '-')}", "value": value} for key, value in tags.items()],
    }


def registry(*versions: dict) -> dict:
    """MLflow with these versions."""
    models = list(dict.fromkeys(version["name"] for version in versions))
    return {
        ("GET", "/api/2.0/mlflow/registered-models/search"): {"registered_models": [{"name": model} for model in models]},
        ("GET", "/api/2.0/mlflow/model-versions/search"): lambda query, _: {
            "model_versions": [version for version in versions if query["filter"] == f"name='{version['name']}'"]
        },
        ("GET", "/api/2.0/mlflow/runs/get"): {
            "run": {
                "info": {"experiment_id": "5"},
                "data": {"params": [{"key": "training.optimizer.learningRate", "value": "0.003"}, {"key": "workers", "value": "2"}]},
            }
        },
    }


def tensor(name: str, datatype: str, *shape: int, data: list | None = None, columns: list[str] | None = None) -> dict:
    """A tensor of a signature, or with `data` of an answer."""
    return {
        "name": name,
        "datatype": datatype,
        "shape": list(shape),
        **({"columns": columns} if columns else {}),
        **({} if data is None else {"data": data}),
    }


def served(name: str, inputs: list[dict], outputs: list[dict], answer, labels: list[str] | None = None, number: str = "1") -> dict:
    """A server with one version of a model, in service. `answer` is the answer's outputs, or a function of the request's inputs."""
    metadata = {"name": name, "versions": [number], "platform": "libtorch", "inputs": inputs, "outputs": outputs}
    metadata |= {"labels": labels} if labels else {}

    def infer(_, body):
        found = answer(body["inputs"]) if callable(answer) else answer
        return found if isinstance(found, tuple) else {"model_name": name, "model_version": number, "outputs": found}

    return {
        ("GET", f"/v2/models/{name}"): metadata,
        ("GET", f"/v2/models/{name}/versions/{number}"): metadata,
        ("POST", f"/v2/models/{name}/versions/{number}/infer"): infer,
    }


def answers_with(label: int, number: str) -> dict:
    """A server whose version `number` takes every digit for `label`."""
    probabilities = [0.01] * 10
    probabilities[label] = 0.91
    return served(
        "mnist",
        [tensor("image", "FP32", -1, 1, 28, 28)],
        [tensor("probabilities", "FP32", -1, 10), tensor("label", "INT64", -1)],
        [tensor("probabilities", "FP32", 1, 10, data=probabilities), tensor("label", "INT64", 1, data=[label])],
        number=number,
    )
