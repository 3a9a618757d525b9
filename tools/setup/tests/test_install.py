"""install.sh puts the programs of a build below a prefix, whichever shell was given it."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "install.sh"
BESIDE = ["slipway-launch", "slipway-manager", "slipway-monitor", "slipway-server", "slipway-trainer"]


class Install(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.clone, self.home, self.build = (self.folder / name for name in ("clone", "home of mine", "build"))
        for made in (self.clone, self.home, self.build):
            made.mkdir()
        for name in ["slipway", *BESIDE]:
            (self.build / name).write_text("#!/bin/sh\n")

    def install(self, prefix: str) -> None:
        environment = {**os.environ, "HOME": str(self.home)}
        subprocess.run([SCRIPT, self.build, prefix], cwd=self.clone, env=environment, check=True, stdout=subprocess.DEVNULL)

    def installed(self, prefix: Path) -> None:
        self.assertEqual([path.name for path in (prefix / "bin").iterdir()], ["slipway"])
        self.assertEqual(sorted(path.name for path in (prefix / "libexec/slipway").iterdir()), BESIDE)
        self.assertTrue(os.access(prefix / "bin/slipway", os.X_OK))

    def test_a_tilde_that_no_shell_has_expanded_is_the_home(self) -> None:
        for prefix, place in [("~/.local", self.home / ".local"), ("~/a b/c", self.home / "a b/c"), ("~", self.home)]:
            self.install(prefix)
            self.installed(place)
        self.assertEqual(list(self.clone.iterdir()), [])

    def test_any_other_prefix_is_what_it_says(self) -> None:
        for prefix, place in [
            (str(self.folder / "an absolute one"), self.folder / "an absolute one"),
            ("relative", self.clone / "relative"),
            ("~other", self.clone / "~other"),
        ]:
            self.install(prefix)
            self.installed(place)
        self.assertEqual(list(self.home.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
