"""workflows.py finds what it is there to find: each rule is broken once, in a workflow of this repository that keeps it."""

import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

import yaml

SETUP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SETUP))

import workflows  # noqa: E402  (it is a script beside the folder of tests)

FOLDER = workflows.ROOT / ".github" / "workflows"
# A slipway that knows `slipway render` with the option --head, and nothing else.
SLIPWAY = """#!/bin/sh
if test "$1" = render; then echo "  --head <OWNER:BRANCH>"; else echo "error: unrecognized subcommand '$1'" >&2; exit 2; fi
"""


def text(name: str) -> str:
    return (FOLDER / f"{name}.yml").read_text()


def load(name: str) -> dict:
    return yaml.safe_load(text(name))


def problems(workflow: dict, source: str = "") -> str:
    return "\n".join(workflows.wrong_workflow(workflow, source))


def triggers(workflow: dict) -> dict:
    return workflow[True]


def step(workflow: dict, job: str, uses: str) -> dict:
    return next(step for step in workflow["jobs"][job]["steps"] if step.get("uses", "").startswith(f"actions/{uses}@"))


def runs(workflow: dict, job: str, script: str) -> None:
    workflow["jobs"][job]["steps"].append({"run": script})


class Workflows(unittest.TestCase):
    def broken(self, name: str, breaks: Callable[[dict], object], said: str) -> None:
        workflow = load(name)
        self.assertEqual(problems(workflow, text(name)), "", name)
        breaks(workflow)
        self.assertIn(said, problems(workflow, text(name)))

    def test_every_workflow_keeps_the_rules(self) -> None:
        for path in FOLDER.glob("*.yml"):
            self.assertEqual(problems(yaml.safe_load(path.read_text()), path.read_text()), "", path.name)

    def test_rights_are_named_one_by_one(self) -> None:
        for name in ["images", "report", "release"]:
            with self.subTest(name):
                self.broken(name, lambda workflow: workflow.pop("permissions"), "the rights of the repository's settings")
                self.broken(name, lambda workflow: workflow.update(permissions="read-all"), "each job has `permissions: read-all`")
                self.broken(name, lambda workflow: workflow.update(permissions={"contents": "read"}), "write `permissions: {}`, and at each job")
        self.broken("images", lambda workflow: workflow["jobs"]["pin"].update(permissions="write-all"), "job pin has `permissions: write-all`")
        self.broken("report", lambda workflow: workflow["jobs"]["plan"].update(permissions="write-all"), "job plan has `permissions: write-all`")

    def test_runs_and_jobs_end(self) -> None:
        for path in FOLDER.glob("*.yml"):
            with self.subTest(path.stem):
                self.broken(path.stem, lambda workflow: workflow.pop("concurrency"), "add `concurrency`")
                for job in load(path.stem)["jobs"]:
                    said = f"job {job}: it may run for six hours"
                    self.broken(path.stem, lambda workflow, job=job: workflow["jobs"][job].pop("timeout-minutes"), said)

    def test_no_runner_waits_for_a_training(self) -> None:
        for script in ["slipway up", "~/.cargo/bin/slipway --repo x demo --drift", "make demo DRIFT=1", "while slipway -o json status --cluster; do true; done"]:
            with self.subTest(script):
                self.broken("nightly", lambda workflow, script=script: runs(workflow, "advisories", script), "makes a runner wait for a training")
        for script in ["slipway status", "slipway report 7", "make e2e CLUSTER=kind"]:
            workflow = load("nightly")
            runs(workflow, "advisories", script)
            self.assertEqual(problems(workflow), "", script)

    def test_a_fork_gets_the_right_to_read_and_nothing_else(self) -> None:
        self.broken("checks", lambda workflow: triggers(workflow).update(pull_request_target=None), "pull_request_target")
        first = next(iter(load("checks")["jobs"]))
        may = "may have `contents: read` and nothing else"
        self.broken("checks", lambda workflow: workflow["jobs"][first].update(permissions={"contents": "write"}), f"job {first}: ")
        self.broken("checks", lambda workflow: workflow["jobs"][first].update(permissions={"contents": "read", "issues": "read"}), may)
        for secret in ["${{ secrets.KEY }}", "${{ secrets['KEY'] }}", "secrets: inherit"]:
            self.assertIn("may not use secrets", problems(load("checks"), text("checks") + secret), secret)

    def test_only_what_signs_from_main_or_a_tag_has_an_identity(self) -> None:
        for name in ["images", "release"]:
            signing = next(job for job, of in load(name)["jobs"].items() if "id-token" in workflows.rights(of))
            with self.subTest(name):
                self.broken(name, lambda workflow: workflow.update(permissions={"id-token": "write"}), "a right of a job")
                self.broken(name, lambda workflow: triggers(workflow).update(pull_request=None), "not by pull_request")
                self.broken(name, lambda workflow: workflow["jobs"][signing].update(steps=[]), "does not sign")
        signing = next(job for job, of in load("images")["jobs"].items() if "id-token" in workflows.rights(of))
        self.broken("images", lambda workflow: workflow["jobs"][signing].pop("if"), "add `if: github.ref == 'refs/heads/main'`")
        signing = next(job for job, of in load("release")["jobs"].items() if "id-token" in workflows.rights(of))
        self.broken("release", lambda workflow: triggers(workflow)["push"].update(branches=["topic"]), "or start the workflow by tags alone")

    def test_what_follows_a_fork_s_run_takes_nothing_from_it(self) -> None:
        mine = {"with": {"ref": "refs/pull/7/merge"}}
        self.broken("report", lambda workflow: step(workflow, "plan", "checkout").update(mine), "something else than the default branch")
        other = {"with": {"name": "report", "run-id": "1"}}
        self.broken("report", lambda workflow: step(workflow, "comment", "download-artifact").update(other), "an artifact of another run")
        saved = {"uses": "actions/cache@0123", "with": {"path": "x", "key": "x"}}
        self.broken("report", lambda workflow: workflow["jobs"]["plan"]["steps"].append(saved), "it saves a cache")
        identity = {"contents": "read", "id-token": "write"}
        self.broken("report", lambda workflow: workflow["jobs"]["plan"].update(permissions=identity), "no token for a cloud")
        self.broken("report", lambda workflow: runs(workflow, "plan", "git checkout FETCH_HEAD"), "into the work tree")
        self.broken("report", lambda workflow: runs(workflow, "plan", "slipway show ${{ github.head_ref }}"), "holds an expression")

    def test_what_fetches_only_reads(self) -> None:
        fetching = [
            "git fetch origin refs/pull/7/head",
            "git -C . fetch origin",
            "git pull",
            "gh pr checkout 7",
            'slipway report --head "$HEAD" --commit "$COMMIT" --to report',
            "make x && ~/.cargo/bin/slipway report 7",
        ]
        for script in fetching:
            with self.subTest(script):
                self.broken("report", lambda workflow, script=script: runs(workflow, "comment", script), "fetch in a job that only reads")
                workflow = load("report")
                runs(workflow, "plan", script)
                self.assertEqual(problems(workflow), "", "plan only reads")
        for script in ["slipway report 7 --from report", "git push origin HEAD:x"]:
            workflow = load("report")
            runs(workflow, "comment", script)
            self.assertEqual(problems(workflow), "", script)

    def test_what_renders_and_pushes_leaves_forks_out(self) -> None:
        said = "its `if` leaves no forks out"
        self.broken("report", lambda workflow: workflow["jobs"]["render"].pop("if"), said)
        for part in workflows.NO_FORKS:
            def without(workflow: dict, part: str = part) -> None:
                workflow["jobs"]["render"]["if"] = workflow["jobs"]["render"]["if"].replace(part, "true")

            self.broken("report", without, said)

    def test_a_step_runs_what_anyone_can_run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            slipway = Path(folder) / "slipway"
            slipway.write_text(SLIPWAY)
            slipway.chmod(0o755)

            def wrong(script: str) -> str:
                return "\n".join(workflows.wrong_step(script, {"lint"}, str(slipway)))

            for script in ["make lint X=1", "slipway render --head a:b", "git push\ngh pr list", "mkdir x\ncosign sign x", "while read -r x; do\n  cosign attest x\ndone"]:
                self.assertEqual(wrong(script), "", script)
            self.assertIn("no target `fly`", wrong("make fly"))
            self.assertIn("no command `slipway fly`", wrong("slipway fly"))
            self.assertIn("no option --wings", wrong("slipway render --wings"))
            self.assertIn("runs curl, but neither make nor slipway", wrong("curl https://example.org | sh"))


if __name__ == "__main__":
    unittest.main()
