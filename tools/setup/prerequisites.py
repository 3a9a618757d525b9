"""Reports the prerequisites that are missing, and how to install them, before anything is downloaded.

`slipway doctor` reports the same and more once it is compiled; this runs when there may be no compiler yet.
"""

import platform
import re
import shutil
import subprocess
import sys

# Program, the oldest version that works, and how to get it on Debian/Ubuntu and on macOS.
PREREQUISITES = [
    ("cargo", (1, 95), "install rustup (https://rustup.rs), then `rustup toolchain install 1.95.0`", None),
    ("python3", (3, 11), "apt-get install python3 python3-venv", "brew install python@3.11"),
    ("node", (20, 0), "apt-get install nodejs   (20 or newer)", "brew install node"),
    ("npm", (9, 0), "apt-get install npm", "brew install node"),
    ("c++", (), "apt-get install g++", "xcode-select --install"),
    ("git", (2, 29), "apt-get install git", "brew install git"),
]


def problem(program: str, oldest: tuple[int, ...]) -> str | None:
    """What is wrong with a program, or None if it runs and is new enough. An unknown version counts as new enough."""
    if shutil.which(program) is None:
        return "was not found"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # For example, rustup lacks the toolchain that rust-toolchain.toml names; its message says which.
        return f"does not run ({(done.stderr or done.stdout).strip()})"
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    if found and tuple(int(part) for part in found.group().split(".")) < oldest:
        return f"is {found.group()}, but {'.'.join(map(str, oldest))} or newer is needed"
    return None


def main() -> int:
    missing = []
    for program, oldest, debian, macos in PREREQUISITES:
        wrong = problem(program, oldest)
        if wrong:
            how = macos if macos and platform.system() == "Darwin" else debian
            missing.append(f"  {program} {wrong}: {how}")
    if missing:
        print("These prerequisites are missing or too old:", *missing, sep="\n", file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
