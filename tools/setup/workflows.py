"""Checks of .github/workflows that actionlint and zizmor do not make: workflows.py SLIPWAY

- Workflows are thin: each step runs a target of the Makefile or a command of `slipway`, with options that it has, so anyone can run it at
  home. The exceptions use only the programs in PLUMBING.
- A fork's pull request gets nothing but the right to read: a workflow that one starts has no other permission and no secret.
- A workflow gives its jobs no right: each job names its own. One run of it waits for the other, or replaces it, and each job ends in a time
  that it names.
- No runner waits for a training: how it goes is written into the pull request by the training manager.
- A token that says which workflow runs (`id-token: write`) is for a job that signs, from the default branch or a tag, and for no other.
- A workflow that follows another one (`workflow_run`) has rights, and runs for a fork's pull request as well. So it checks out the default
  branch and nothing else, takes no artifact that the fork's own run made, and a job that fetches the pull request only reads. `slipway render`
  alone fetches and pushes, in a job that leaves forks out.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# What a step may consist of without `make` and `slipway`.
PLUMBING = {"apt-get", "git", "gh", "if", "else", "fi", "while", "done", "exit"}
# What a step that signs consists of. At home, cosign would ask a person to log in.
SIGNING = {"cosign", "mkdir", "for", "while", "done", "xargs"}


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command, a pipeline's parts and conditions separately."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        words.whitespace_split = True
        command: list[str] = []
        for word in words:
            if set(word) <= set("|&;()"):
                yield command
                command = []
            else:
                command.append(word)
        yield command


def called(command: list[str], program: str) -> list[str] | None:
    """The words after the program's name, which may be a path or follow `xargs` and the like; None if it is not called."""
    for at, word in enumerate(command[:-1]):
        if Path(word).name == program and re.fullmatch(r"[a-z][a-z0-9-]*", command[at + 1]):
            return command[at + 1 :]
    return None


def wrong_target(arguments: list[str], targets: set[str]) -> str | None:
    unknown = [word for word in arguments if "=" not in word and not word.startswith("-") and word not in targets]
    return f"the Makefile has no target `{unknown[0]}`" if unknown else None


def wrong_subcommand(arguments: list[str], slipway: str) -> str | None:
    subcommand = []
    for word in arguments:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        subcommand.append(word)
    name = " ".join(["slipway", *subcommand])
    done = subprocess.run([slipway, *subcommand, "--help"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"there is no command `{name}`: {done.stderr.strip().splitlines()[0]}"
    known = set(re.findall(r"--[a-z][a-z-]*", done.stdout))
    unknown = [word for word in arguments if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in known]
    return f"`{name}` has no option {unknown[0]}" if unknown else None


def wrong_step(script: str, targets: set[str], slipway: str) -> Iterator[str]:
    """What is wrong with the commands of a step."""
    thin = False
    for command in commands(script):
        for arguments, wrong in [
            (called(command, "make"), lambda words: wrong_target(words, targets)),
            (called(command, "slipway"), lambda words: wrong_subcommand(words, slipway)),
        ]:
            if arguments is not None:
                thin = True
                if problem := wrong(arguments):
                    yield problem
    programs = {line.split()[0] for line in script.replace("\\\n", " ").splitlines() if line.strip()}
    signs = any(called(command, "cosign") for command in commands(script)) and programs <= SIGNING
    if not thin and not signs and not programs <= PLUMBING:
        yield f"runs {', '.join(sorted(programs - PLUMBING))}, but neither make nor slipway: put what it does behind one of them"


def wrong_rights(workflow: dict, text: str) -> Iterator[str]:
    """What a pull request of a fork could get."""
    # YAML 1.1 reads the key `on` as true.
    triggers = workflow.get("on", workflow.get(True))
    if "pull_request_target" in triggers:
        yield "pull_request_target gives a fork's pull request the rights of this repository: use pull_request"
    if "pull_request" not in triggers:
        return
    for name, job in workflow["jobs"].items():
        if job.get("permissions", workflow.get("permissions")) not in ({}, {"contents": "read"}):
            yield f"job {name}: a fork's pull request starts this workflow, so its jobs may have `contents: read` and nothing else"
    if re.search(r"\bsecrets\s*[.\[]|secrets: inherit", text):
        yield "a fork's pull request starts this workflow, so it may not use secrets"


def rights(of: dict) -> dict[str, str]:
    """The rights that a workflow or a job names one by one."""
    named = of.get("permissions", {})
    return named if isinstance(named, dict) else {}


def unnamed_rights(workflow: dict) -> Iterator[str]:
    """Rights that no job names one by one, such as all of them, among which id-token is, or whatever the repository's settings give."""
    if "permissions" not in workflow:
        yield "it has the rights of the repository's settings: add `permissions: {}`"
    elif workflow["permissions"] != {}:
        yield f"each job has `permissions: {workflow['permissions']}`: write `permissions: {{}}`, and at each job the rights that it needs"
    for name, job in workflow["jobs"].items():
        if not isinstance(job.get("permissions", {}), dict):
            yield f"job {name} has `permissions: {job['permissions']}`: name each right"


def unbounded(workflow: dict) -> Iterator[str]:
    """What may run for longer, or at more places at once, than somebody has decided."""
    if "concurrency" not in workflow:
        yield "any number of its runs go on at once: add `concurrency`, with a group, and say whether a newer run cancels an older one"
    for name, job in workflow["jobs"].items():
        if not isinstance(job.get("timeout-minutes"), int):
            yield f"job {name}: it may run for six hours: add `timeout-minutes`"


def wrong_identity(workflow: dict) -> Iterator[str]:
    """Who else could sign as the default branch or as a release. A certificate names the workflow and its branch or tag."""
    triggers = workflow.get("on", workflow.get(True))
    if "id-token" in rights(workflow):
        yield "id-token is a right of a job, not of a workflow"
    for name, job in workflow["jobs"].items():
        if "id-token" not in rights(job):
            continue
        if others := set(triggers) - {"push", "workflow_dispatch"}:
            yield f"job {name}: it has id-token, so its workflow is started by a push or by hand, not by {', '.join(sorted(others))}"
        push = triggers["push"] if isinstance(triggers, dict) and triggers.get("push") else {}
        from_main = job.get("if") == "github.ref == 'refs/heads/main'"
        from_tag = set(triggers) == {"push"} and set(push) == {"tags"}
        if not from_main and not from_tag:
            yield f"job {name}: it has id-token: add `if: github.ref == 'refs/heads/main'`, or start the workflow by tags alone"
        if not any(step.get("uses", "").startswith("sigstore/cosign-installer@") for step in job["steps"]):
            yield f"job {name}: it has id-token and does not sign"


# What the `if` of a job says that runs for no fork's pull request: whoever started it, an event or a person.
NO_FORKS = [
    "github.event.workflow_run.head_repository.full_name == github.repository",
    "startsWith(inputs.head, format('{0}:', github.repository_owner))",
]


def without_options(command: list[str], program: str) -> list[str]:
    """A command without the options before its subcommand, such as `git -C folder fetch`."""
    at = next((at for at, word in enumerate(command) if Path(word).name == program), len(command))
    before, rest = command[: at + 1], command[at + 1 :]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in {"-C", "-c", "--repo", "-o", "--output", "--color"} else rest[1:]
    return before + rest


def fetches(command: list[str]) -> str | None:
    """What a command is called that brings commits of others here; None if it brings none."""
    for program, subcommands in [("git", {"fetch", "pull", "clone"}), ("slipway", {"report", "render", "show", "merge"})]:
        arguments = called(without_options(command, program), program)
        # what `--to` has made in another job
        if arguments and arguments[0] in subcommands and not (arguments[0] == "report" and "--from" in arguments):
            return f"{program} {arguments[0]}"
    if (arguments := called(command, "gh")) and arguments[:2] in (["pr", "checkout"], ["pr", "diff"], ["repo", "clone"]):
        return " ".join(["gh", *arguments[:2]])
    return None


def waits(command: list[str]) -> str | None:
    """What a command is called that trains, or asks a cluster how a training goes; None if it does neither."""
    arguments = called(without_options(command, "slipway"), "slipway")
    if arguments and (arguments[0] in {"up", "demo"} or arguments[0] == "status" and "--cluster" in arguments):
        return " ".join(["slipway", arguments[0], *(["--cluster"] if arguments[0] == "status" else [])])
    return "make demo" if "demo" in (called(command, "make") or []) else None


def wrong_wait(workflow: dict) -> Iterator[str]:
    """Where a runner would wait for a training."""
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            for found in filter(None, map(waits, commands(step.get("run", "")))):
                yield f"job {name}: `{found}` makes a runner wait for a training: the training manager reports how it goes"


def wrong_follower(workflow: dict) -> Iterator[str]:
    """What a fork's pull request could reach in a workflow that runs after the one that it started."""
    if "workflow_run" not in workflow.get("on", workflow.get(True)):
        return
    for name, job in workflow["jobs"].items():
        writes = [right for right, level in rights(job).items() if level == "write"]
        if "id-token" in rights(job):
            yield f"job {name}: a fork's pull request starts this workflow, so no token for a cloud"
        for step in job["steps"]:
            uses, inputs = step.get("uses", ""), step.get("with", {})
            if uses.startswith("actions/checkout@") and not {"ref", "repository"}.isdisjoint(inputs):
                yield f"job {name}: it checks out something else than the default branch"
            if uses.startswith("actions/download-artifact@") and not {"run-id", "repository", "github-token"}.isdisjoint(inputs):
                yield f"job {name}: it takes an artifact of another run, which a fork's own code may have made"
            if uses.startswith("actions/cache@"):
                yield f"job {name}: it saves a cache, which main's own runs would take: use actions/cache/restore"
            fetching = [found for command in commands(step.get("run", "")) if (found := fetches(command))]
            if writes and set(fetching) - {"slipway render"}:
                yield f"job {name}: it fetches ({', '.join(fetching)}) and may write ({', '.join(writes)}): fetch in a job that only reads"
            if writes and "slipway render" in fetching and any(part not in job.get("if", "") for part in NO_FORKS):
                yield f"job {name}: it renders and may write ({', '.join(writes)}), and its `if` leaves no forks out"
            called_first = {command[0] for command in commands(step.get("run", "")) if command}
            if called_first & {"git"} and re.search(r"\bgit\b.*\b(checkout|switch|worktree|merge|reset|submodule)\b", step["run"]):
                yield f"job {name}: it puts something else than the default branch into the work tree"
            if re.search(r"\$\{\{", step.get("run", "")):
                yield f"job {name}: a step's script holds an expression, which a branch's name may fill: use env"


def wrong_workflow(workflow: dict, text: str) -> list[str]:
    """What is wrong with a workflow, apart from what its steps run."""
    return [
        *unnamed_rights(workflow),
        *unbounded(workflow),
        *wrong_wait(workflow),
        *wrong_rights(workflow, text),
        *wrong_identity(workflow),
        *wrong_follower(workflow),
    ]


def main(slipway: str) -> int:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    problems = []
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = path.read_text()
        workflow = yaml.safe_load(text)
        shown = path.relative_to(ROOT)
        problems += [f"{shown}: {problem}" for problem in wrong_workflow(workflow, text)]
        # The tests of the workflows take the one for the other, and so do people.
        if workflow["name"] != path.stem:
            problems.append(f"{shown}: it is called {workflow['name']}: call it as its file, {path.stem}")
        for name, job in workflow["jobs"].items():
            for step in job["steps"]:
                found = wrong_step(step["run"], targets, slipway) if "run" in step else []
                problems += [f"{shown}: job {name}, step `{step.get('name', step['run'])}`: {problem}" for problem in found]
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return 3 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
