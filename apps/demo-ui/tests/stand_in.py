"""Stand-ins for MLflow and the model server on loopback. Each test sets their answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


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
                self.answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

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


def version(number: int, **tags: str) -> dict:
    """A registered version in MLflow's form."""
    return {
        "name": "mnist",
        "version": str(number),
        "run_id": f"run{number}",
        "status": "READY",
        "tags": [{"key": f"slipway.{key.replace('_', '-')}", "value": value} for key, value in tags.items()],
    }


def registry(*versions: dict) -> dict:
    """MLflow with one model and these versions."""
    return {
        ("GET", "/api/2.0/mlflow/registered-models/search"): {"registered_models": [{"name": "mnist"}] if versions else []},
        ("GET", "/api/2.0/mlflow/model-versions/search"): {"model_versions": list(versions)},
        ("GET", "/api/2.0/mlflow/runs/get"): {
            "run": {
                "info": {"experiment_id": "5"},
                "data": {"params": [{"key": "training.optimizer.learningRate", "value": "0.003"}, {"key": "workers", "value": "2"}]},
            }
        },
    }


def answers_with(label: int, number: str) -> dict:
    """A server whose version `number` takes everything for `label`."""
    probabilities = [0.01] * 10
    probabilities[label] = 0.91
    return {
        ("POST", f"/v2/models/mnist/versions/{number}/infer"): {
            "model_name": "mnist",
            "model_version": number,
            "outputs": [
                {"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": probabilities},
                {"name": "label", "datatype": "INT64", "shape": [1], "data": [label]},
            ],
        }
    }
