"""A request as JSON, written by a person: a first one made from the signature, and what is wrong with one."""

import json

from server import Request
from signature import FLOATS, NUMPY, Signature, count

# More numbers than this are not written into the form; an empty list stands for them.
MOST_SHOWN = 1000
# Bytes of a request: what the server takes.
LONGEST = 4 << 20


class JsonError(ValueError):
    """The text is not a request. `excerpt` shows the place, if there is one."""

    def __init__(self, message: str, excerpt: str | None = None):
        super().__init__(message)
        self.excerpt = excerpt


def zeros(signature: Signature) -> str:
    """A valid request of zeros, one line for each input. Dimensions of any size are 1."""
    lines = []
    for tensor in signature.inputs:
        shape = tensor.smallest()
        data = [] if count(shape) > MOST_SHOWN else [_zero(tensor.datatype)] * count(shape)
        lines.append("    " + json.dumps({"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": data}, ensure_ascii=False))
    return '{\n  "inputs": [\n' + ",\n".join(lines) + "\n  ]\n}"


def hides_numbers(signature: Signature) -> bool:
    """Whether an empty list stands for zeros in the first request."""
    return any(count(tensor.smallest()) > MOST_SHOWN for tensor in signature.inputs)


def request(text: str) -> Request:
    """The text as a request. It is sent as it is, so that lines and columns in the server's messages are those of the text, unless an empty
    list stands for zeros."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"Line {error.lineno}, column {error.colno}: {_reason(error)}", _excerpt(error)) from None
    except (ValueError, RecursionError):
        raise JsonError("The request has a number of too many digits, or lists in lists in too many levels") from None
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
        raise JsonError("Line 1, column 1: the request must be an object with a list `inputs`")
    filled = [_filled(tensor) for tensor in body["inputs"]]
    if filled != body["inputs"]:
        text = json.dumps({**body, "inputs": filled})
    # half of a surrogate pair cannot come from a browser, but from an escape that was written again
    content = text.encode("utf-8", "replace")
    if len(content) > LONGEST:
        raise JsonError(f"The request has {len(content):,} bytes, and at most {LONGEST:,} are allowed")
    return Request(content, {"Content-Type": "application/json"})


def _filled(tensor: object) -> object:
    match tensor:
        case {"datatype": str(datatype), "shape": [*shape], "data": []} if (
            shape and datatype in (*NUMPY, *FLOATS, "BYTES") and all(type(size) is int and size > 0 for size in shape) and count(shape) <= LONGEST // 2
        ):
            return {**tensor, "data": [_zero(datatype)] * count(shape)}
    return tensor


def _zero(datatype: str) -> object:
    return {"BOOL": False, "BYTES": ""}.get(datatype, 0)


def _reason(error: json.JSONDecodeError) -> str:
    reason = error.msg[:1].lower() + error.msg[1:]
    if error.pos >= len(error.doc.rstrip()):
        return f"the request ends too early ({reason})"
    return reason.removesuffix(" at").removesuffix(" starting at")


def _excerpt(error: json.JSONDecodeError) -> str:
    """The line around the place, and a mark below it."""
    line = error.doc.split("\n")[error.lineno - 1]
    start = max(0, error.colno - 31)
    return f"{line[start : start + 60]}\n{' ' * (error.colno - 1 - start)}^"
