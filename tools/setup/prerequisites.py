"""Says which of the few prerequisites is missing, and the command that gets it, before anything is downloaded.

`slipway doctor` says the same and more once it is compiled; this runs before a compiler is known to be there.
"""

import platform
import re
import shutil
import subprocess
import sys

# Program, the oldest version that works, and how to get it on Debian/Ubuntu and on macOS.
PREREQUISITES = [
    ("cargo", (1, 95), "curl https://sh.rustup.rs -sSf | sh   (or: rustup update stable)", None),
    ("python3", (3, 11), "apt-get install python3 python3-venv", "brew install python@3.11"),
    ("node", (20,), "apt-get install nodejs   (20 or newer)", "brew install node"),
    ("npm", (9,), "apt-get install npm", "brew install node"),
    ("c++", (), "apt-get install g++", "xcode-select --install"),
    ("git", (2, 38), "apt-get install git", "brew install git"),
]


def version_of(program: str) -> tuple[int, ...] | None:
    """The program's version, or None when it is not on the PATH or does not run."""
    if shutil.which(program) is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def main() -> int:
    missing = []
    for program, oldest, debian, macos in PREREQUISITES:
        version = version_of(program)
        if version is None or (version and version < oldest):
            have = "not found" if version is None else "is " + ".".join(map(str, version))
            need = f", {'.'.join(map(str, oldest))} or newer is needed" if oldest else ""
            how = macos if macos and platform.system() == "Darwin" else debian
            missing.append(f"  {program} {have}{need}: {how}")
    if missing:
        print("Some prerequisites are missing:", *missing, sep="\n", file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
