"""Stand-ins for MLflow and the model server on loopback. Each test sets their answers."""

import json
import math
from email.message import Message
from urllib.parse import parse_qs, urlparse

import numpy as np

from loopback import Loopback
from server import JSON_LENGTH
from signature import NUMPY


class StandIn(Loopback):
    """Answers `(method, path)` from `answers`: a body, `(status, body)`, `(status, body, headers)`, or a function of the request."""

    def __init__(self, answers: dict):
        super().__init__()
        self.answers = answers
        self.requests: list[tuple[str, str, dict, dict | None]] = []
        # The header of each request; None if it has none.
        self.authorizations: list[str | None] = []

    def reply(self, method: str, target: str, headers: Message, content: bytes) -> tuple[int, dict[str, str], bytes]:
        url = urlparse(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = None if method == "GET" else read(content, int(headers[JSON_LENGTH] or len(content)))
        self.requests.append((method, url.path, query, body))
        self.authorizations.append(headers["Authorization"])
        answer = self.answers.get((method, url.path), (404, {"error": "no such model"}))
        if callable(answer):
            answer = answer(query, body)
        status, answer, more = (*answer, {})[:3] if isinstance(answer, tuple) else (200, answer, {})
        return status, more, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


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
