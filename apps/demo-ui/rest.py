"""A REST interface of Slipway's own as the page reaches it: answers that are bounded in size and time, and why there is none."""

import json
import time

import requests

import untrusted
from access import Access

API = "/api/v1"
# Seconds to connect, and between two parts of an answer.
TIMEOUT = (3, 10)
# Seconds that a whole answer may take beyond that.
LONGEST_WAIT = 20
# Bytes of an answer.
LONGEST_ANSWER = 16 << 20


class RestError(Exception):
    """The service did not answer, or answered with an error.

    `passing`: the same request may be answered later. `status`: that of the answer, 0 without one. `title` and `detail` are the answer's own
    words, empty if it has none.
    """

    def __init__(self, message: str, passing: bool = False, status: int = 0, title: str = "", detail: str = ""):
        super().__init__(untrusted.clean(message))
        self.passing = passing
        self.status = status
        self.title = untrusted.clean(title)
        self.detail = untrusted.clean(detail)


class Rest:
    """The interface. A service of ours is a subclass, with its own words in messages and its own error."""

    # As in "The training manager does not answer", and in "The manager's answer is not a JSON object".
    name, short = "service", "service"
    error: type[RestError] = RestError
    timeout = TIMEOUT

    def __init__(self, access: Access):
        self.access = access

    def _get(self, path: str, **query: str) -> dict:
        return self._json(self._ask("GET", path, params=query))

    def _ask(self, method: str, path: str, access: Access | None = None, **options) -> requests.Response:
        address = self.access.address
        try:
            # a redirect could lead a token elsewhere
            return (access or self.access).request(
                method, f"{API}/{path}", **{"timeout": self.timeout, **options}, stream=True, allow_redirects=False
            )
        except requests.ConnectionError as error:
            raise self.error(f"The {self.name} does not answer at {address}", passing=True) from error
        except requests.Timeout as error:
            raise self.error(f"The {self.name} at {address} takes too long to answer", passing=True) from error
        except (requests.RequestException, UnicodeError, ValueError) as error:
            # its text could repeat a variable that holds a login
            raise self.error(f"The {self.name} at {address} cannot be asked ({type(error).__name__})", passing=True) from error

    def _json(self, answer: requests.Response) -> dict:
        content = self._content(answer, LONGEST_ANSWER)
        if not good(answer):
            raise self._problem(answer, content)
        body = parsed(content)
        if not isinstance(body, dict):
            raise self.error(f"The {self.short}'s answer is not a JSON object")
        return body

    def _content(self, answer: requests.Response, longest: int, cut: bool = False) -> bytes:
        """The answer's bytes. One that is longer is an error, or `cut`: then its last bytes are kept."""
        content, deadline = bytearray(), time.monotonic() + LONGEST_WAIT
        try:
            with answer:
                for part in answer.iter_content(64 << 10):
                    content += part
                    if len(content) > longest and not cut:
                        raise self.error(f"The {self.short}'s answer is longer than {longest >> 20} MiB, which this page does not show")
                    del content[: len(content) - longest if len(content) > longest else 0]
                    if time.monotonic() > deadline:
                        raise self.error(f"The {self.short}'s answer takes too long", passing=True)
        except requests.RequestException as error:
            raise self.error(f"The {self.name} at {self.access.address} ended its answer early", passing=True) from error
        return bytes(content)

    def _problem(self, answer: requests.Response, content: bytes) -> RestError:
        """An answer that is an error; `application/problem+json` says what is wrong (RFC 9457)."""
        body, status = parsed(content), answer.status_code
        body = body if isinstance(body, dict) else {}
        title, detail = (str(body.get(key) or "").strip().rstrip(".") for key in ("title", "detail"))
        reason = ": ".join(dict.fromkeys(said for said in (title, detail) if said)) or content[:200].decode(errors="replace").strip() or "no reason given"
        passing = status >= 500 or status == 429
        return self.error(f"The {self.name} answered {status}: {reason}", passing=passing, status=status, title=title, detail=detail)


def good(answer: requests.Response) -> bool:
    """Whether it is no error."""
    return 200 <= answer.status_code < 300


def parsed(content: bytes) -> object:
    """JSON; None if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
