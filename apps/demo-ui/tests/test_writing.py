"""The token that writing needs."""

import tempfile
import unittest
from unittest.mock import patch

import writing
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


if __name__ == "__main__":
    unittest.main()
