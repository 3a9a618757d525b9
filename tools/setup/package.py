"""Packs the command line for a release: package.py PROGRAM FOLDER [TAG]

Writes slipway-<target>.tar.gz, with the program and the licence, and its checksum in slipway-<target>.tar.gz.sha256. The same program
gives the same bytes. With a tag such as v1.2.3, fails if that is not the program's version.
"""

import gzip
import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from packages import sha256

ROOT = Path(__file__).resolve().parents[2]


def printed(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    """A file that belongs to root and has no time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def main(program: str, folder: str, tag: str | None = None) -> None:
    version = printed(program, "--version").split()[-1]
    if tag is not None and tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but the program is {version}: tag v{version}, or change `version` in Cargo.toml.")
    host = re.search(r"^host: (.+)$", printed("rustc", "-vV"), re.MULTILINE)
    if host is None:
        sys.exit("`rustc -vV` does not say for which target it compiles.")
    target = Path(folder) / f"slipway-{host[1]}.tar.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            add(archive, "LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644)
            add(archive, "slipway", Path(program).read_bytes(), 0o755)
    target.with_name(f"{target.name}.sha256").write_text(f"{sha256(target)}  {target.name}\n")
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
