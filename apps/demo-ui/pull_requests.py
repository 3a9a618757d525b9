"""The pull requests of the bare repository of the loop on this machine, with their reports. git alone reads it; nothing is written."""

import json
import os
import re
import subprocess
from dataclasses import dataclass

# References to the record and to the report of each pull request, by its number.
RECORDS = "refs/slipway/pull/"
REPORTS = "refs/slipway/report/"
NUMBERED = re.compile(f"{RECORDS}([1-9][0-9]{{0,8}})")
# Seconds that git may take.
LIMIT = 10


class ForgeError(Exception):
    """The repository cannot be read."""


@dataclass(frozen=True)
class PullRequest:
    """A pull request. `state` is `open`, `merged` or `closed`; `report` holds the parts of its report as Markdown, and may be empty."""

    number: int
    title: str
    branch: str
    state: str
    report: tuple[str, ...]


def pull_requests(forge: str) -> list[PullRequest]:
    """All of them, the newest first. One whose record is damaged is left out."""
    listed = _git(forge, "for-each-ref", "--format=%(refname) %(objectname)", RECORDS, REPORTS).decode()
    blobs = dict(line.rsplit(" ", 1) for line in listed.splitlines())
    contents = _contents(forge, list(blobs.values()))
    numbers = sorted((int(found[1]) for name in blobs if (found := NUMBERED.fullmatch(name))), reverse=True)
    found = []
    for number in numbers:
        record = _object(contents, blobs.get(f"{RECORDS}{number}"))
        if not record:
            continue
        parts = _object(contents, blobs.get(f"{REPORTS}{number}")).get("parts", [])
        report = tuple(_text(part) for part in parts if isinstance(part, str)) if isinstance(parts, list) else ()
        title, branch, state = (_text(record.get(key)) for key in ("title", "branch", "state"))
        found.append(PullRequest(number, title, branch, state, report))
    return found


def _object(contents: dict[str, bytes], blob: str | None) -> dict:
    """A blob that holds a JSON object; empty if it is not there, or holds something else."""
    try:
        value = json.loads(contents.get(blob or "", b"{}"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A text of a record; empty if it is none. Half a character, which JSON can hold, becomes a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _contents(forge: str, blobs: list[str]) -> dict[str, bytes]:
    """The bytes of blobs by their ids."""
    answer = _git(forge, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs).encode())
    contents, at = {}, 0
    while at < len(answer):
        # `<id> <kind> <size>`, the bytes, a line end; or `<id> missing`
        end = answer.index(b"\n", at)
        blob, kind, *size = answer[at:end].split(b" ")
        at = end + 1
        if size:
            if kind == b"blob":
                contents[blob.decode()] = answer[at : at + int(size[0])]
            at += int(size[0]) + 1
    return contents


def _git(forge: str, *arguments: str, given: bytes = b"") -> bytes:
    command = ["git", f"--git-dir={forge}", *arguments]
    # without what a hook or a shell says about another repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(command, input=given, env=environment, capture_output=True, check=True, timeout=LIMIT).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise ForgeError(f"The forge {forge} cannot be read: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ForgeError(f"The forge {forge} cannot be read: {error}") from error
