"""The token that writing needs."""

import tempfile
import unittest
from unittest.mock import patch

import writing
from manager import ManagerError
from writing import TokenError, token


class Token(unittest.TestCase):
    def refused(self, environment: dict, message: str) -> None:
        with self.assertRaisesRegex(TokenError, message) as raised:
            token(environment)
        self.assertNotIn("marked", str(raised.exception))

    def test_on_one_machine_a_file_has_it(self):
        with tempfile.NamedTemporaryFile("w+") as file:
            environment = {"SLIPWAY_MANAGER_TOKEN_FILE": file.name}
            self.refused(environment, "is empty")
            for content in ("first\n", "second"):
                file.seek(0)
                file.truncate()
                print(content, end="", file=file, flush=True)
                self.assertEqual(token(environment), content.strip())

    def test_a_file_that_cannot_be_read_is_said(self):
        self.refused({"SLIPWAY_MANAGER_TOKEN_FILE": "/nonexistent"}, r"cannot be read \(FileNotFoundError\)")

    def test_otherwise_the_session_has_it(self):
        with patch("streamlit.session_state", {}):
            self.refused({}, "Give your GitHub token first")
        with patch("streamlit.session_state", {writing.KEY: " ghp_1 "}):
            self.assertEqual(token({}), "ghp_1")

    def test_what_cannot_be_sent_is_refused(self):
        for found in ("marked\nHost: a", "marked ä", "marked two", "marked\x00"):
            with patch("streamlit.session_state", {writing.KEY: found}):
                self.refused({}, "cannot be sent")


class Refusals(unittest.TestCase):
    def test_each_is_said_in_plain_words(self):
        for error, expected in [
            (TokenError("Give your GitHub token first"), "Give your GitHub token first"),
            (ManagerError("a 401", status=401, title="This needs a token", detail="nobody has it"), "The training manager does not accept this token: nobody has it"),
            (ManagerError("a 401", status=401), "The training manager does not accept this token"),
            (ManagerError("a 403", status=403, title="Nothing is written here", detail="no file is set"), "That is not allowed: no file is set"),
            (ManagerError("a 404", status=404, title="There is no such thing to cancel", detail="nothing is a"), "There is no such thing to cancel: nothing is a"),
            (ManagerError("a 409", status=409, title="That cannot be done as things are", detail="a has ended"), "That cannot be done as things are: a has ended"),
            (ManagerError("a 503", passing=True, status=503, title="Too many ask at once"), "The training manager cannot do that now: Too many ask at once. Try again in a moment"),
            (ManagerError("a 403", status=403), "a 403"),
        ]:
            self.assertEqual(writing.why_not(error), expected)
        self.assertIn("and you get that one instead of a second one", writing.why_not(ManagerError("It is away", passing=True)))


if __name__ == "__main__":
    unittest.main()
