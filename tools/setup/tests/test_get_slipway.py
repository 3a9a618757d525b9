"""get-slipway.sh installs what package.py packed, from a server on loopback, and nothing that was changed on the way or that somebody else has signed."""

import functools
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1]
SCRIPT = SETUP / "get-slipway.sh"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


class GetSlipway(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for release, version in [("latest/download", "2.0.0"), ("download/v1.0.0", "1.0.0")]:
            program = self.folder / "slipway"
            program.write_text(f"#!/bin/sh\necho slipway {version}\n")
            program.chmod(0o755)
            subprocess.run(
                [sys.executable, SETUP / "package.py", program, self.folder / "releases" / release, f"v{version}"], check=True,
                stdout=subprocess.DEVNULL,
            )
        handler = functools.partial(Quiet, directory=self.folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(lambda: (server.shutdown(), thread.join(), server.server_close()))
        self.releases = f"http://127.0.0.1:{server.server_port}/releases"

    def get(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # no cosign but that of a test
        path = [part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "cosign").exists()]
        path = os.pathsep.join([str(self.folder / "path"), *path])
        environment = {**os.environ, "PATH": path, "PREFIX": str(self.folder / "prefix"), "SLIPWAY_RELEASES": self.releases, "NO_PROXY": "127.0.0.1"}
        return subprocess.run(["sh", SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)

    def installed(self) -> str:
        return subprocess.run([self.folder / "prefix/bin/slipway"], capture_output=True, text=True, check=True).stdout

    def cosign(self) -> None:
        """A cosign that writes down how it is called, and accepts a bundle with the text `good`."""
        (self.folder / "path").mkdir()
        program = self.folder / "path/cosign"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {self.folder}/called\ngrep -q good "$3"\n')
        program.chmod(0o755)

    def bundle(self, release: str, text: str) -> None:
        [archive] = (self.folder / "releases" / release).glob("*.tar.gz")
        archive.with_name(f"{archive.name}.sha256.sigstore.json").write_text(text)

    def called(self) -> list[str]:
        return (self.folder / "called").read_text().splitlines()

    def test_a_signature_is_that_of_the_release_workflow_for_this_tag(self) -> None:
        self.cosign()
        signer = "https://github.com/slipway-dev/slipway/.github/workflows/release.yml@refs/tags/v"
        for version, release in [("1.0.0", "download/v1.0.0"), ("latest", "latest/download")]:
            self.bundle(release, "good")
            got = self.get(version)
            self.assertEqual(got.returncode, 0, got.stderr)
            called = self.called()
            self.assertEqual([called[0], called[1], called[4]], ["verify-blob", "--bundle", "--certificate-oidc-issuer=https://token.actions.githubusercontent.com"])
            self.assertTrue(called[5].endswith(".tar.gz.sha256") and called[2] == f"{called[5]}.sigstore.json", called)
            option, value = called[3].split("=", 1)
            if version == "latest":
                self.assertEqual(option, "--certificate-identity-regexp")
                for tag, accepted in [("2.0.0", True), ("2.0.0-rc.1", True), ("", False), ("2/x", False)]:
                    self.assertEqual(bool(re.search(value, signer + tag)), accepted, tag)
                self.assertIsNone(re.search(value, f"{signer}1.0.0".replace("github.com", "github-com")))
                self.assertIsNone(re.search(value, f"https://example.org/{signer}1.0.0"))
            else:
                self.assertEqual((option, value), ("--certificate-identity", f"{signer}1.0.0"))

    def test_a_signature_that_does_not_hold_or_is_missing(self) -> None:
        self.cosign()
        got = self.get("1.0.0")
        self.assertEqual(got.returncode, 1)
        self.assertIn(".sha256.sigstore.json could not be downloaded", got.stderr)
        self.bundle("download/v1.0.0", "bad")
        got = self.get("1.0.0")
        self.assertEqual(got.returncode, 1)
        self.assertIn("does not hold", got.stderr)
        self.assertFalse((self.folder / "prefix").exists())

    def test_the_latest_or_a_version(self) -> None:
        for arguments, version in [((), "2.0.0"), (("1.0.0",), "1.0.0"), (("v1.0.0",), "1.0.0")]:
            got = self.get(*arguments)
            self.assertEqual(got.returncode, 0, got.stderr)
            self.assertIn(f"installed slipway {version}", got.stdout)
            self.assertEqual(self.installed(), f"slipway {version}\n")

    def test_what_was_changed_is_not_installed_and_what_was_there_stays(self) -> None:
        self.assertEqual(self.get("1.0.0").returncode, 0)
        [archive] = (self.folder / "releases/latest/download").glob("*.tar.gz")
        content = bytearray(archive.read_bytes())
        content[-1] ^= 1
        archive.write_bytes(content)
        got = self.get()
        self.assertEqual(got.returncode, 1)
        self.assertIn("it was not installed", got.stderr)
        self.assertEqual(self.installed(), "slipway 1.0.0\n")
        self.assertEqual([path.name for path in (self.folder / "prefix/bin").iterdir()], ["slipway"])

    def test_a_version_that_does_not_exist(self) -> None:
        got = self.get("9.9.9")
        self.assertEqual(got.returncode, 1)
        self.assertIn("download/v9.9.9/slipway-", got.stderr)
        self.assertFalse((self.folder / "prefix").exists())

    def test_releases_are_those_of_the_repository_in_the_manifest(self) -> None:
        repository = re.search(r'^repository = "([^"]+)"', (SETUP.parents[1] / "Cargo.toml").read_text(), re.MULTILINE)[1]
        self.assertIn(f"repository={repository}\n", SCRIPT.read_text())


if __name__ == "__main__":
    unittest.main()
