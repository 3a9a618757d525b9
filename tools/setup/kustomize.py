"""Builds the pinned kustomize into the cache folder: ${XDG_CACHE_HOME:-~/.cache}/slipway/tools/bin/kustomize.

`slipway check`, `diff` and `bootstrap` run it. Its version and those of its dependencies are in tools/testbed/modules/kustomize.
"""

import re
import sys
from pathlib import Path

from go import go, oldest
from packages import TOOLS, alone, phase, sha256

MODULE = Path(__file__).resolve().parents[2] / "tools" / "testbed" / "modules" / "kustomize"
PACKAGE = "sigs.k8s.io/kustomize/kustomize/v5"
TARGET = TOOLS / "bin" / "kustomize"
STAMP = TOOLS / "kustomize.made-from"


def version() -> str:
    """The version that go.mod pins."""
    found = re.search(rf"{re.escape(PACKAGE)} (v\S+)", (MODULE / "go.mod").read_text())
    return found[1] if found else sys.exit(f"{MODULE / 'go.mod'} does not pin {PACKAGE}")


def main() -> None:
    made_from = "".join(sha256(file) + "\n" for file in (MODULE / "go.mod", MODULE / "go.sum", Path(__file__)))
    with alone("kustomize"):
        if TARGET.exists() and STAMP.exists() and STAMP.read_text() == made_from:
            return
        with go(oldest(MODULE)) as found, phase(f"building kustomize {version()}"):
            # It says this version when asked; without it, `(devel)`.
            found.build(MODULE, PACKAGE, TARGET, "-ldflags", f"-s -w -X sigs.k8s.io/kustomize/api/provenance.version={version()}")
        STAMP.write_text(made_from)


if __name__ == "__main__":
    main()
