"""The page's client of the model server, which speaks the Open Inference Protocol (v2)."""

import json
import time
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np
import requests

import signature
from access import Access
from signature import Signature, Tensor, plain

# Seconds to connect and to answer; a version that is not loaded yet is fetched and verified within this time.
TIMEOUT = (3, 30)
# A busy server says when to try again. More attempts than this would not help.
TRIES = 3
LONGEST_PAUSE = 2.0
# Bytes of an answer. A longer one would need more memory than the page has for one person.
LONGEST_ANSWER = 8 << 20
# The protocol's extension binary_tensor_data: the length of the JSON before the tensors' bytes.
JSON_LENGTH = "Inference-Header-Content-Length"


class ServerError(Exception):
    """The model server did not answer, or answered with an error. `passing`: the same request may be answered later."""

    def __init__(self, message: str, passing: bool = False, status: int | None = None):
        super().__init__(plain(message))
        self.passing = passing
        # Of HTTP; None if there was no answer.
        self.status = status


@dataclass(frozen=True)
class Request:
    """The body of an inference request, and its headers."""

    body: bytes = field(repr=False)
    headers: dict[str, str]


@dataclass(frozen=True)
class Output:
    """A tensor of an answer."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    # The elements, as JSON has them.
    data: list = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """A version's answer."""

    version: str
    outputs: list[Output]
    # As it came.
    body: bytes = field(repr=False)
    # From the request to the answer, as measured by the page.
    milliseconds: float


def request_of(tensor: Tensor, values: np.ndarray) -> Request:
    """A request with one input, in binary form: a picture as JSON would be four times as long."""
    data = signature.array(tensor, values).tobytes()
    described = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(values.shape), "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [described]}).encode()
    return Request(head + data, {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))})


def identified(request: Request, id: str) -> Request:
    """The request with an id, by which the server knows it again."""
    length = int(request.headers.get(JSON_LENGTH, len(request.body)))
    head = json.dumps({**json.loads(request.body[:length]), "id": id}).encode()
    headers = {**request.headers, JSON_LENGTH: str(len(head))} if JSON_LENGTH in request.headers else request.headers
    return Request(head + request.body[length:], headers)


class Server:
    """The model server, as the page reaches it."""

    def __init__(self, access: Access):
        self.access = access

    def in_service(self, model: str) -> str | None:
        """The model's version in service; None if there is none."""
        answer = self._ask("GET", f"/v2/models/{quote(model, safe='')}")
        if answer.status_code == 404:
            return None
        versions = self._json(answer)[0].get("versions") or [None]
        return str(versions[0]) if versions[0] is not None else None

    def signature(self, model: str, version: str) -> Signature:
        """What a version takes and gives."""
        metadata, _ = self._json(self._ask("GET", _path(model, version)))
        try:
            return signature.parse(metadata)
        except signature.SignatureError as error:
            raise ServerError(str(error)) from error

    def ask(self, model: str, version: str, request: Request) -> Answer:
        """A version's answer."""
        begin = time.perf_counter()
        response = self._ask("POST", f"{_path(model, version)}/infer", data=request.body, headers=request.headers)
        answer, body = self._json(response)
        milliseconds = (time.perf_counter() - begin) * 1000
        outputs = answer.get("outputs")
        if not isinstance(outputs, list) or not outputs:
            raise ServerError("The server's answer has no outputs")
        return Answer(str(answer.get("model_version", version)), [_output(each) for each in outputs], body, milliseconds)

    def takes_feedback(self) -> bool:
        """Whether the server keeps what people say about answers."""
        extensions = self._json(self._ask("GET", "/v2"))[0].get("extensions")
        return isinstance(extensions, list) and "feedback" in extensions

    def correct(self, model: str, version: str, request: Request, label: str) -> None:
        """Says what the right answer to a request is, which must have an id."""
        path = f"{_path(model, version)}/feedback?label={quote(label, safe='')}"
        self._json(self._ask("POST", path, data=request.body, headers=request.headers))

    def _ask(self, method: str, path: str, **options) -> requests.Response:
        for attempt in range(TRIES):
            try:
                answer = self.access.request(method, path, timeout=TIMEOUT, stream=True, **options)
            except requests.ConnectionError as error:
                raise ServerError(f"The model server does not answer at {self.access.address}", passing=True) from error
            except requests.RequestException as error:
                # its text could repeat a variable that holds a login
                raise ServerError(f"The model server at {self.access.address} cannot be asked ({type(error).__name__})", passing=True) from error
            if answer.status_code != 503 or attempt == TRIES - 1:
                return answer
            answer.close()
            time.sleep(_pause(answer))
        raise AssertionError("unreachable: the last try returns")

    def _json(self, answer: requests.Response) -> tuple[dict, bytes]:
        """The answer's JSON, and the bytes that it was read from."""
        content = self._content(answer)
        if answer.ok and JSON_LENGTH in answer.headers:
            raise ServerError("The server's answer is in binary form, which this page does not read; leave `binary_data` out of the request")
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if answer.ok and isinstance(body, dict):
            return body, content
        reason = body.get("error") if isinstance(body, dict) else None
        reason = str(reason or content[:200].decode(errors="replace") or "no reason given").rstrip(". \n")
        raise ServerError(f"The model server answered {answer.status_code}: {reason}", answer.status_code >= 500, answer.status_code)

    def _content(self, answer: requests.Response) -> bytes:
        content = bytearray()
        try:
            with answer:
                for part in answer.iter_content(64 << 10):
                    content += part
                    if len(content) > LONGEST_ANSWER:
                        raise ServerError(f"The server's answer is longer than {LONGEST_ANSWER >> 20} MiB, which this page does not show")
        except requests.RequestException as error:
            raise ServerError(f"The model server at {self.access.address} ended its answer early ({type(error).__name__})", passing=True) from error
        return bytes(content)


def _path(model: str, version: str) -> str:
    return f"/v2/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"


def _output(found: object) -> Output:
    match found:
        case {"name": str(name), "datatype": str(datatype), "shape": list(shape), "data": list(data)} if all(type(size) is int for size in shape):
            return Output(plain(name), plain(datatype), tuple(shape), data)
    raise ServerError(f"The server's answer has an output without name, datatype, shape and data: {str(found)[:200]}")


def _pause(answer: requests.Response) -> float:
    """The seconds that a busy server asks the client to wait."""
    try:
        return min(max(float(answer.headers.get("Retry-After", 0.2)), 0.05), LONGEST_PAUSE)
    except ValueError:
        return 0.2
