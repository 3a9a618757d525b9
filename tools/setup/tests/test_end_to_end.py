"""What `make e2e` leaves out on kind."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class OnKind(unittest.TestCase):
    def test_what_needs_a_github_is_left_out(self):
        """There is none there, so such a test would always fail."""
        tests = ROOT / "tests/e2e/tests/e2e"
        asks = {path.stem for path in tests.glob("*.rs") if "stack.github()" in path.read_text()}
        self.assertIn("recorded", asks)
        (skipped,) = re.findall(r"^E2E_SKIP := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        self.assertEqual(sorted(re.findall(r"--skip (\w+)::", skipped)), sorted(asks))


if __name__ == "__main__":
    unittest.main()
