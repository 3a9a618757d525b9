"""The facts about a trial, as HTML."""

import re
import unittest

import trial
import trial_facts
from stand_in_manager import ARCHIVED, COMMIT, HOSTILE, Manager
from trial import Lineage, Worker


class Facts(unittest.TestCase):
    def facts(self, name: str) -> str:
        found = trial.trial(Manager().trials()[name])
        return trial_facts.took(found) + trial_facts.facts(found)

    def test_cost_origin_and_links(self):
        facts = self.facts("mnist-resnet-5e0c7b19")
        repository = "https://github.com/acme/digits"
        for part in (
            "<b>2 min 00 s</b><span>duration</span>",
            "<b>0.07</b><span>CPU-hours</span>",
            "<b>&lt; 0.01 USD</b><span>cost</span>",
            "<dt>Learning rate</dt><dd>0.5</dd>",
            f'href="{repository}/pull/17" target="_blank" rel="noopener noreferrer">#17</a>',
            f'href="{repository}/commit/{COMMIT}"',
            f'href="{repository}/blob/{COMMIT}/experiments/mnist-resnet.yaml"',
            'href="https://mlflow.example/#/experiments/5/runs/0a1b2c3d4e5f"',
            ">trainer@7e1a9f0c5a</code>",
            "mnist-10k <code",
        ):
            self.assertIn(part, facts)

    def test_one_of_the_history_has_its_origin_and_its_links(self):
        facts = self.facts(ARCHIVED)
        for part in ("/pull/17", f"/commit/{COMMIT}", ">trainer@7e1a9f0c5a</code>", "mnist-10k <code", "open in MLflow", "<dt>Learning rate</dt>", "CPU-hours"):
            self.assertIn(part, facts)

    def test_hostile_texts_are_escaped_and_only_addresses_of_the_web_are_links(self):
        facts = self.facts("hostile-00000001")
        self.assertNotIn("<img", facts)
        self.assertNotIn("href", facts)
        self.assertIn("&lt;img src=x", facts)
        self.assertIn("<dt>Pull request</dt><dd>#9</dd>", facts)

    def test_links_that_are_none(self):
        for url in ("", "javascript:alert(1)", "data:text/html,a", "//a", "file:///etc/passwd", "http://", "https://[", "JAVASCRIPT:a"):
            self.assertEqual(trial_facts.link(url, "a"), "a", url)
        self.assertEqual(re.findall('href="(.*?)"', trial_facts.link('https://a/"><b>', "a")), ["https://a/&quot;&gt;&lt;b&gt;"])

    def test_a_commit_is_a_link_only_if_its_repository_is_known(self):
        for lineage in (Lineage(commit=COMMIT), Lineage(commit=COMMIT, pull_request=1, pull_request_url="/srv/forge.git"), Lineage(commit="../a", pull_request_url="https://a/b/c/pull/1")):
            self.assertNotIn("/commit/", str(trial_facts.origin(lineage)))
        self.assertIn("https://h/o/r/commit/", str(trial_facts.origin(Lineage(commit=COMMIT, pull_request_url="https://h/o/r/pull/1"))))

    def test_what_is_not_known_is_left_out(self):
        found = trial.trial({"name": "a"})
        facts = trial_facts.took(found) + trial_facts.facts(found)
        self.assertNotIn("<h4>", facts)
        self.assertNotIn("<b>", facts)

    def test_workers_are_in_the_order_of_their_ranks(self):
        table = trial_facts.workers((Worker(1, "p<b>", "", "Pending", 0), Worker(0, "p0", "n<b>", "Running", 3)))
        self.assertLess(table.index("Running"), table.index("Pending"))
        for part in ('title="p&lt;b&gt;"', "n&lt;b&gt;", "no node yet", "<td>3</td>"):
            self.assertIn(part, table)


if __name__ == "__main__":
    unittest.main()
