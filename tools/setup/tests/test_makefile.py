"""The settings that `make help` names do what it says: each changes the commands that its target runs, and none is set by default."""

import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# A target, a setting of it, and what its commands have with the setting and not without it.
SETTINGS = [
    ("demo", "DRIFT=1", " demo --drift"),
    ("install", "PREFIX=/elsewhere", '"/elsewhere"'),
    ("package", "TO=elsewhere", '"elsewhere"'),
    ("package", "TAG=v1.2.3", " v1.2.3"),
    ("profile", "BATCH=256", "--batch-size 256"),
    ("profile", "WORKERS=2", "PET_NNODES=2"),
    ("e2e", "CLUSTER=kind", "--bin e2e-kind"),
    ("e2e", "KILLS=yes", "a_hundred"),
    ("test-cluster", "CLUSTER=kind", "--skip node::"),
    ("lint", "ZIZMOR=--no-online-audits", "--no-online-audits"),
]


def commands(target: str, *, environment: str | None = None, argument: str | None = None) -> str:
    """What `make TARGET` would run, where nothing is set but what is given."""
    names = {setting.split("=")[0] for _, setting, _ in SETTINGS}
    # make itself may be running these tests, with settings of its own
    variables = {name: value for name, value in os.environ.items() if name not in names and not name.startswith(("MAKE", "MFLAGS"))}
    if environment:
        name, value = environment.split("=", 1)
        variables[name] = value
    arguments = [argument] if argument else []
    run = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, *arguments], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    return run.stdout


class Makefile(unittest.TestCase):
    def test_each_setting_changes_its_target(self) -> None:
        for target, setting, part in SETTINGS:
            with self.subTest(target=target, setting=setting):
                self.assertNotIn(part, commands(target))
                self.assertIn(part, commands(target, argument=setting))
                self.assertIn(part, commands(target, environment=setting))

    def test_no_setting_of_the_help_is_forgotten(self) -> None:
        help_lines = re.findall(r"^([a-z0-9-]+):.*## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = {(target, name) for target, text in help_lines for name in re.findall(r"\b([A-Z]{2,})=", text)}
        named |= {("package", "TO")}
        self.assertEqual(named - {(target, setting.split("=")[0]) for target, setting, _ in SETTINGS}, set())
        self.assertIn(("demo", "DRIFT"), named)


if __name__ == "__main__":
    unittest.main()
