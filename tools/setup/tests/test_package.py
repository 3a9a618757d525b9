"""What package.py packs is where `cargo binstall` looks for it, by what tools/slipway/Cargo.toml says."""

import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import unittest
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1]
ROOT = SETUP.parents[1]


def cargo(path: str) -> dict:
    return tomllib.loads((ROOT / path / "Cargo.toml").read_text())


def filled(template: str, values: dict[str, str]) -> str:
    """A template of binstall, such as `{ bin }`. A name that is not there is an error, as it is for binstall."""
    return re.sub(r"\{\s*([a-z-]+)\s*\}", lambda name: values[name[1]], template)


class Binstall(unittest.TestCase):
    def test_it_finds_the_archive_and_the_program_in_it(self) -> None:
        package = cargo("tools/slipway")["package"]
        shared = cargo(".")["workspace"]["package"]
        binstall = package["metadata"]["binstall"]
        version, name = shared["version"], package["name"]
        host = re.search(r"^host: (.+)$", subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout, re.MULTILINE)
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "compiled"
            program.write_text(f"#!/bin/sh\necho {name} {version}\n")
            program.chmod(0o755)
            packed = Path(folder) / "package"
            subprocess.run([sys.executable, SETUP / "package.py", program, packed, f"v{version}"], check=True, stdout=subprocess.DEVNULL)
            [archive] = packed.glob("*.tar.gz")

            # a release's files are below its tag, which package.py compares with the version
            values = {"repo": shared["repository"], "version": version, "target": host[1], "bin": name, "name": name}
            self.assertEqual(filled(binstall["pkg-url"], values), f"{shared['repository']}/releases/download/v{version}/{archive.name}")
            # a tar file that gzip has compressed
            self.assertEqual(binstall["pkg-fmt"], "tgz")
            with tarfile.open(archive, "r:gz") as members:
                member = members.getmember(filled(binstall["bin-dir"], values))
                self.assertEqual(members.extractfile(member).read(), program.read_bytes())
                self.assertEqual(member.mode, 0o755)


if __name__ == "__main__":
    unittest.main()
