"""What .github/renovate.json names is there: its patterns find the files and versions that they are for, and nothing else."""

import fnmatch
import json
import re
import subprocess
import tomllib
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
RENOVATE = json.loads((ROOT / ".github/renovate.json").read_text())
FILES = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.strip("\0").split("\0")


def text(path: str) -> str:
    return (ROOT / path).read_text()


def of_javascript(pattern: str) -> re.Pattern[str]:
    """A regular expression of JavaScript, whose groups have names."""
    return re.compile(pattern.replace("(?<", "(?P<"))


def files(patterns: list[str]) -> list[str]:
    """The files that patterns such as `/^a$/` fit."""
    found = [of_javascript(pattern.removeprefix("/").removesuffix("/")) for pattern in patterns]
    return [file for file in FILES if any(pattern.search(file) for pattern in found)]


def rule(**fields: object) -> dict:
    """The only rule for packages with these fields."""
    [found] = [rule for rule in RENOVATE["packageRules"] if fields.items() <= rule.items()]
    return found


class CustomManagers(unittest.TestCase):
    def found(self, of: str) -> list[dict[str, str]]:
        """What the custom manager of a file finds in it; there is one, and it has no other file."""
        [manager] = [manager for manager in RENOVATE["customManagers"] if of in files(manager["managerFilePatterns"])]
        self.assertEqual(files(manager["managerFilePatterns"]), [of])
        return [match.groupdict() for pattern in manager["matchStrings"] for match in of_javascript(pattern).finditer(text(of))]

    def test_the_toolchain(self) -> None:
        channel = tomllib.loads(text("rust-toolchain.toml"))["toolchain"]["channel"]
        self.assertEqual(self.found("rust-toolchain.toml"), [{"currentValue": channel}])

    def test_the_containers_of_a_matrix(self) -> None:
        release = yaml.safe_load(text(".github/workflows/release.yml"))
        matrix = release["jobs"]["package"]["strategy"]["matrix"]["include"]
        containers = [one["container"] for one in matrix if one["container"]]
        found = self.found(".github/workflows/release.yml")
        self.assertEqual(["{depName}:{currentValue}@{currentDigest}".format(**one) for one in found], containers)
        self.assertGreater(len(containers), 0)
        self.assertLessEqual({one["depName"] for one in found}, set(rule(groupName="Rust")["matchDepNames"]))

    def test_each_has_a_file(self) -> None:
        for manager in RENOVATE["customManagers"]:
            self.assertEqual(len(files(manager["managerFilePatterns"])), 1, manager["managerFilePatterns"])


class Files(unittest.TestCase):
    def test_every_application_with_a_version_of_upstream_is_read(self) -> None:
        read = files(RENOVATE["argocd"]["managerFilePatterns"])
        versioned = [
            file
            for file in FILES
            if file.endswith("/application.yaml") and re.search(r"\btargetRevision: (?!SETTING\b)", text(file))
        ]
        self.assertGreater(len(versioned), 5)
        self.assertLessEqual(set(versioned), set(read))
        self.assertEqual([file for file in read if not file.startswith("argocd/applications/")], [])

    def test_every_list_of_python_packages_that_a_person_writes_is_read(self) -> None:
        written = [file for file in FILES if file.endswith(".in") and "requirements" in file]
        self.assertGreater(len(written), 5)
        self.assertEqual(files(RENOVATE["pip_requirements"]["managerFilePatterns"]), written)

    def test_digests_are_pinned_where_images_come_from_upstream_s_registries(self) -> None:
        patterns = rule(pinDigests=True)["matchFileNames"]
        images = fnmatch.filter(FILES, "clusters/*/images/kustomization.yaml")
        pinned = [file for file in images if any(fnmatch.fnmatch(file, pattern) for pattern in patterns)]
        # the images of the test cluster are built from source, under upstream's tags
        self.assertEqual(set(images) - set(pinned), {"clusters/local/images/kustomization.yaml"})


class Packages(unittest.TestCase):
    def test_each_program_is_an_indirect_requirement_of_a_module(self) -> None:
        modules = "\n".join(text(file) for file in FILES if Path(file).name == "go.mod")
        for name in rule(matchManagers=["gomod"], enabled=True)["matchPackageNames"]:
            self.assertRegex(modules, rf"\n\t{re.escape(name)} v\S+ // indirect\n")

    def test_what_is_left_alone_is_here(self) -> None:
        crates = {package["name"] for package in tomllib.loads(text("Cargo.lock"))["package"]}
        wheels = {line.partition("==")[0] for file in FILES if file.endswith(".in") for line in text(file).splitlines()}
        images = [image["newName"] for file in fnmatch.filter(FILES, "clusters/*/images/kustomization.yaml")
                  for image in yaml.safe_load(text(file))["images"] if image["name"].startswith("slipway/")]
        here = [*crates, *wheels, *images]
        left = [name for rule in RENOVATE["packageRules"] if rule.get("enabled") is False for name in rule.get("matchPackageNames", [])]
        self.assertGreater(len(left), 4)
        for name in left:
            self.assertTrue(fnmatch.filter(here, name), name)
        # every image of this repository's own, which `slipway image pin` writes
        self.assertEqual([image for image in images if not any(fnmatch.fnmatch(image, name) for name in left)], [])
        [address] = rule(matchDepNames=["SETTING"])["matchDepNames"]
        self.assertIn(f"repoURL: {address}", text("argocd/root/application.yaml"))


if __name__ == "__main__":
    unittest.main()
