"""The page's client of the model server, which speaks the Open Inference Protocol (v2)."""

import time
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import requests

from access import Access

# Seconds to connect and to answer; a version that is not loaded yet is fetched and verified within this time.
TIMEOUT = (3, 30)
# A busy server says when to try again. More attempts than this would not help.
TRIES = 3
LONGEST_PAUSE = 2.0


class ServerError(Exception):
    """The model server did not answer, or answered with an error."""


@dataclass(frozen=True)
class Answer:
    """A version's answer for a picture."""

    version: str
    label: int
    probabilities: list[float]
    # From the request to the answer, as measured by the page.
    milliseconds: float


class Server:
    """The model server, as the page reaches it."""

    def __init__(self, access: Access):
        self.access = access

    def in_service(self, model: str) -> str | None:
        """The model's version in service; None if there is none."""
        answer = self._ask("GET", f"/v2/models/{quote(model, safe='')}")
        if answer.status_code == 404:
            return None
        versions = self._json(answer).get("versions") or [None]
        return str(versions[0]) if versions[0] is not None else None

    def ask(self, model: str, version: str, image: np.ndarray) -> Answer:
        """A version's answer for one 28x28 picture, ink 1 on paper 0."""
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, *image.shape], "data": image.ravel().tolist()}
        path = f"/v2/models/{quote(model, safe='')}/versions/{quote(version, safe='')}/infer"
        begin = time.perf_counter()
        body = self._json(self._ask("POST", path, json={"inputs": [tensor]}))
        milliseconds = (time.perf_counter() - begin) * 1000
        try:
            outputs = {output["name"]: output["data"] for output in body["outputs"]}
            probabilities = [float(value) for value in outputs["probabilities"]]
            label = int(outputs["label"][0])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ServerError(f"The server's answer has no probabilities and label: {str(body)[:200]}") from error
        return Answer(str(body.get("model_version", version)), label, probabilities, milliseconds)

    def _ask(self, method: str, path: str, **options) -> requests.Response:
        for attempt in range(TRIES):
            try:
                answer = self.access.request(method, path, timeout=TIMEOUT, **options)
            except requests.ConnectionError as error:
                raise ServerError(f"The model server does not answer at {self.access.address}") from error
            except requests.RequestException as error:
                # its text could repeat a variable that holds a login
                raise ServerError(f"The model server at {self.access.address} cannot be asked ({type(error).__name__})") from error
            if answer.status_code != 503 or attempt == TRIES - 1:
                return answer
            time.sleep(_pause(answer))
        raise AssertionError("unreachable: the last try returns")

    def _json(self, answer: requests.Response) -> dict:
        try:
            body = answer.json()
        except requests.JSONDecodeError:
            body = {}
        if answer.ok and isinstance(body, dict):
            return body
        reason = body.get("error") if isinstance(body, dict) else None
        raise ServerError(f"The model server answered {answer.status_code}: {reason or answer.text[:200] or 'no reason given'}")


def _pause(answer: requests.Response) -> float:
    """The seconds that a busy server asks the client to wait."""
    try:
        return min(max(float(answer.headers.get("Retry-After", 0.2)), 0.05), LONGEST_PAUSE)
    except ValueError:
        return 0.2
