"""Downloads of the set-up: where they are kept, which pip downloads them, and how a kept wheel is found by its hash."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
WHEELS = CACHE / "wheels"
# Programs that the set-up installs; the Makefile has the same name for this folder.
TOOLS = CACHE / "tools"


@dataclass(frozen=True)
class Pin:
    """One line of a requirements file: `name==version --hash=sha256:<hex>`."""

    line: str
    name: str
    sha256: str


def say(text: str) -> None:
    """One line of progress."""
    print(f"==> {text}", flush=True)


@contextlib.contextmanager
def phase(text: str) -> Iterator[None]:
    """Prints the name of a phase and, at its end, how long it took."""
    say(text)
    begin = time.monotonic()
    yield
    say(f"done in {time.monotonic() - begin:.0f} s")


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Holds a lock, so that two set-ups at once do not write the same folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{what}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another set-up of {what}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Isolated (-I), so that Python does not import a script of this folder instead of the module of the same name, such as `venv`.
PYTHON_M = [sys.executable, "-I", "-m"]


def run(command: list[str | Path], what_to_do: str, **options) -> None:
    """Runs a command with its output shown. If it fails, exits with what to do."""
    done = subprocess.run([str(word) for word in command], check=False, **options)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(str(word) for word in command)}` failed ({done.returncode}).\n{what_to_do}")


def pip() -> list[str]:
    """The command of a working pip: this Python's own, otherwise one in a virtual environment made for it."""
    if subprocess.run([*PYTHON_M, "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [*PYTHON_M, "pip"]
    home = CACHE / "pip"
    if not (home / "bin" / "pip").exists():
        run([*PYTHON_M, "venv", home], "Python's venv module is needed: apt-get install python3-venv")
    return [str(home / "bin" / "python"), "-I", "-m", "pip"]


def pip_options() -> list[str]:
    """A progress bar on a terminal, no output otherwise."""
    return ["--disable-pip-version-check"] + ([] if sys.stderr.isatty() else ["--quiet"])


def install_wheels(requirements: Path, target: Path) -> None:
    """Installs wheels that are pinned by hash into an emptied folder of their own. Their programs are in its `bin`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    run(
        [*pip(), "install", *pip_options(), "--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:",
         "--root-user-action", "ignore", "--target", target, "--requirement", requirements],
        "The package index must be reachable, and there must be a wheel for this platform: Linux x86-64, Linux arm64 or macOS arm64.",
    )


def pins(requirements: Path) -> list[Pin]:
    """The pins of a file with one pin a line, each with one hash."""
    found = []
    for line in requirements.read_text().splitlines():
        match = re.fullmatch(r"(\S+)==\S+ --hash=sha256:([0-9a-f]{64})", line.strip())
        if match is None:
            sys.exit(f"{requirements}: not `name==version --hash=sha256:<hex>`: {line!r}")
        found.append(Pin(line.strip(), match[1], match[2]))
    return found


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wheels(requirements: Path, pip_platform: list[str]) -> dict[str, Path]:
    """The wheel of each pin, by package name. Wheels that are kept and have the right hash are used; the others are downloaded.

    `pip_platform` holds pip's options that choose the platform, so that it does not depend on the Python that runs this.
    """
    WHEELS.mkdir(parents=True, exist_ok=True)
    wanted = pins(requirements)
    missing = [pin for pin in wanted if _kept(pin) is None]
    if missing:
        with tempfile.TemporaryDirectory(dir=WHEELS) as folder:
            asked = Path(folder) / "requirements.txt"
            asked.write_text("".join(pin.line + "\n" for pin in missing))
            with phase(f"downloading {', '.join(pin.name for pin in missing)}"):
                run(
                    [*pip(), "download", *pip_options(), "--no-deps", "--require-hashes", "--only-binary", ":all:",
                     *pip_platform, "--dest", folder, "--requirement", asked],
                    "The package index must be reachable. Run this again.",
                )
            for wheel in Path(folder).glob("*.whl"):
                wheel.replace(WHEELS / wheel.name)
    return {pin.name: _found(pin) for pin in wanted}


def _kept(pin: Pin) -> Path | None:
    for wheel in sorted(WHEELS.glob(f"{pin.name.replace('-', '_')}-*.whl")):
        if sha256(wheel) == pin.sha256:
            return wheel
    return None


def _found(pin: Pin) -> Path:
    wheel = _kept(pin)
    if wheel is None:
        sys.exit(f"{WHEELS} has no {pin.name} with sha256 {pin.sha256} after the download. Remove that folder and run this again.")
    return wheel
