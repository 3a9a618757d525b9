"""Builds programs from their pinned Go modules into the cache folder: ${XDG_CACHE_HOME:-~/.cache}/slipway/tools/bin.

Run as a program, it builds kustomize and helm, which `slipway check`, `diff` and `bootstrap` run. The versions and those of the
dependencies are in tools/testbed/modules.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from go import go, oldest
from packages import TOOLS, alone, phase, sha256

MODULES = Path(__file__).resolve().parents[2] / "tools" / "testbed" / "modules"


@dataclass(frozen=True)
class Program:
    """A program, and the Go module in a folder of the same name that pins it."""

    name: str
    # The module of upstream, and the package in it that holds `main`.
    upstream: str
    package: str
    # The variable that holds the version that it prints. Unless the linker sets it, that is not its own version.
    variable: str

    @property
    def module(self) -> Path:
        return MODULES / self.name

    @property
    def target(self) -> Path:
        return TOOLS / "bin" / self.name

    @property
    def stamp(self) -> Path:
        return TOOLS / f"{self.name}.made-from"

    def version(self) -> str:
        """The version that go.mod pins."""
        found = re.search(rf"^\s*(?:require )?{re.escape(self.upstream)} (v\S+)", (self.module / "go.mod").read_text(), re.MULTILINE)
        return found[1] if found else sys.exit(f"{self.module / 'go.mod'} does not pin {self.upstream}")

    def made_from(self) -> str:
        return "".join(sha256(file) + "\n" for file in (self.module / "go.mod", self.module / "go.sum", Path(__file__)))

    def is_current(self) -> bool:
        return self.target.exists() and self.stamp.exists() and self.stamp.read_text() == self.made_from()


KUSTOMIZE_AND_HELM = (
    Program(
        "kustomize",
        "sigs.k8s.io/kustomize/kustomize/v5",
        "sigs.k8s.io/kustomize/kustomize/v5",
        "sigs.k8s.io/kustomize/api/provenance.version",
    ),
    Program("helm", "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4/internal/version.version"),
)


def build(programs: Iterable[Program]) -> None:
    """Builds those that are missing or out of date."""
    with alone("programs"):
        missing = [program for program in programs if not program.is_current()]
        if not missing:
            return
        # One Go for all of them, since they share dependencies.
        with go(max(oldest(program.module) for program in missing)) as found:
            for program in missing:
                with phase(f"building {program.name} {program.version()}"):
                    linker = f"-s -w -X {program.variable}={program.version()}"
                    found.build(program.module, program.package, program.target, "-ldflags", linker)
                program.stamp.write_text(program.made_from())


if __name__ == "__main__":
    build(KUSTOMIZE_AND_HELM)
