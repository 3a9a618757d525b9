"""Pull requests of a bare repository, made by git."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

import pull_requests
from pull_requests import ForgeError, PullRequest


class Forge:
    """A bare repository. `close` removes it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "forge.git")
        self.git("init", "--quiet", "--bare")

    def git(self, *arguments: str, given: bytes = b"") -> str:
        command = ["git", *arguments] if arguments[0] == "init" else ["git", f"--git-dir={self.path}", *arguments]
        command += [self.path] if arguments[0] == "init" else []
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout.decode().strip()

    def put(self, reference: str, value) -> None:
        """Points a reference below refs/slipway at a blob: bytes as they are, anything else as JSON."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.git("update-ref", f"refs/slipway/{reference}", self.git("hash-object", "-w", "--stdin", given=content))

    def opens(self, number: int, state: str = "open", report: list | None = None, **changed) -> None:
        record = {"title": f"Train number {number}", "body": "", "branch": f"slipway/{number}", "base": "main", "state": state}
        self.put(f"pull/{number}", record | changed)
        if report is not None:
            self.put(f"report/{number}", {"head": "0" * 40, "parts": report})

    def close(self) -> None:
        self.folder.cleanup()


class PullRequests(unittest.TestCase):
    def setUp(self):
        self.forge = Forge()
        self.addCleanup(self.forge.close)

    def read(self) -> list[PullRequest]:
        return pull_requests.pull_requests(self.forge.path)

    def test_the_newest_comes_first_each_with_its_report(self):
        self.assertEqual(self.read(), [])
        for number, state in ((9, "open"), (10, "closed"), (2, "merged")):
            self.forge.opens(number, state)
        self.forge.put("report/9", {"head": "0" * 40, "parts": ["### Größe\n", "2\n"]})
        self.assertEqual(
            self.read(),
            [
                PullRequest(10, "Train number 10", "slipway/10", "closed", ()),
                PullRequest(9, "Train number 9", "slipway/9", "open", ("### Größe\n", "2\n")),
                PullRequest(2, "Train number 2", "slipway/2", "merged", ()),
            ],
        )

    def test_damaged_records_are_left_out(self):
        self.forge.opens(1)
        for number, damaged in enumerate((b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000, {}), 2):
            self.forge.put(f"pull/{number}", damaged)
        for name in ("a", "0", "01", "-1", "1x", "9" * 30, "10/head"):
            self.forge.put(f"pull/{name}", {"title": "a"})
        tree = self.forge.git("mktree")
        commit = self.forge.git("-c", "user.name=a", "-c", "user.email=a", "commit-tree", tree, "-m", "a")
        self.forge.git("update-ref", "refs/slipway/pull/11", tree)
        self.forge.git("update-ref", "refs/slipway/pull/12", commit)
        self.assertEqual([one.number for one in self.read()], [1])

    def test_a_damaged_report_is_none(self):
        damaged = (b"", b"{", [], {"parts": "a"}, {"parts": None}, {"parts": [1, None]}, {"head": "a"})
        for number, report in enumerate(damaged, 1):
            self.forge.opens(number)
            self.forge.put(f"report/{number}", report)
        self.forge.put("report/99", {"parts": ["of nothing"]})
        self.assertEqual([(one.number, one.report) for one in self.read()], [(number, ()) for number in range(len(damaged), 0, -1)])

    def test_values_of_another_kind_are_empty(self):
        self.forge.opens(1, title=7, branch=None, report=["a", 2, "b"])
        self.forge.opens(2, title="half \ud800 of one", report=["\udfff"])
        self.assertEqual([(one.title, one.branch, one.report) for one in self.read()], [("half ? of one", "slipway/2", ("?",)), ("", "", ("a", "b"))])

    def test_variables_of_git_change_nothing(self):
        self.forge.opens(1)
        with patch.dict(os.environ, {"GIT_DIR": "/nonexistent", "GIT_OBJECT_DIRECTORY": "/nonexistent", "GIT_NAMESPACE": "a"}):
            self.assertEqual(len(self.read()), 1)

    def test_a_repository_that_is_gone_is_an_error(self):
        with self.assertRaisesRegex(ForgeError, "/nonexistent/forge.git cannot be read: .*not a git repository"):
            pull_requests.pull_requests("/nonexistent/forge.git")
        with patch.dict(os.environ, {"PATH": "/nonexistent"}), self.assertRaisesRegex(ForgeError, "cannot be read: .*git"):
            self.read()

    def test_a_git_that_does_not_end_is_an_error(self):
        with patch("pull_requests.LIMIT", 0), self.assertRaisesRegex(ForgeError, "timed out"):
            self.read()


if __name__ == "__main__":
    unittest.main()
