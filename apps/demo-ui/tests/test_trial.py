"""Trials as the manager sends them."""

import unittest
from datetime import UTC, datetime

import trial
import untrusted
from stand_in_manager import ARCHIVED, Manager
from trial import Cost, NotATrial, Progress, State, Worker


class Trials(unittest.TestCase):
    def test_all_that_is_sent_is_read(self):
        found = trial.trial(Manager(clock=lambda: 1_800_000_000.0).trials()["mnist-resnet-3f9a1c20"])
        self.assertEqual((found.name, found.experiment, found.state), ("mnist-resnet-3f9a1c20", "mnist-resnet", State.RUNNING))
        self.assertEqual(found.progress, Progress(30, 31))
        self.assertEqual(found.parameters, {"training.optimizer.learningRate": 0.05, "training.optimizer.momentum": 0.9})
        self.assertEqual(found.started, datetime.fromtimestamp(1_800_000_000 - 14, UTC))
        self.assertEqual(found.worker_states[1], Worker(1, "mnist-resnet-3f9a1c20-node-0-1-x7k2p", "worker-1", "Running", 0))
        self.assertEqual(found.cost, Cost(found.cpu_hours * 0.05, "USD"))
        self.assertEqual((found.lineage.pull_request, found.lineage.dataset), (17, "mnist-10k"))
        self.assertFalse(found.archived)

    def test_one_of_the_history_lacks_only_what_a_record_cannot_know(self):
        found = trial.trial(Manager(clock=lambda: 1_800_000_000.0).trials()[ARCHIVED])
        self.assertTrue(found.archived)
        self.assertEqual((found.created, found.worker_states, found.workers), (None, (), 2))
        self.assertEqual((found.lineage.pull_request, found.parameters["training.seed"]), (17, 7))

    def test_what_is_of_another_kind_is_not_known(self):
        for other in (None, 7, "a", [], {}, [None], {"a": 1}, True, "half \ud800 of one", 10**400):
            keys = "experiment state reason parameters created seconds progress metrics workers workerStates cpuHours cost run version lineage archived"
            found = trial.trial({"name": "a", **dict.fromkeys(keys.split(), other)})
            self.assertIsInstance(found.state, State)
            found.reason.encode()
            self.assertIsNone(found.created)
        odd = {"percent": 250, "remainingSeconds": "soon"}
        found = trial.trial({"name": "a", "progress": odd, "metrics": {"a": None, "b": "1", "c": True, "d": 2}, "created": "2026-01-01T00:00:00"})
        self.assertEqual((found.progress, found.metrics, found.created), (Progress(100, None), {"d": 2}, None))

    def test_texts_are_bounded_and_act_on_nothing_around_them(self):
        text = f"\u202e{'a' * 1_000_000}"
        found = trial.trial({"name": text, "reason": text, "parameters": {text: text}, "metrics": {text: 1}, "lineage": {"commit": "a\x1b[31mb\u2066"}})
        self.assertEqual((len(found.reason), len(found.name)), (untrusted.LONGEST, untrusted.LONGEST))
        (name, value), (metric,) = *found.parameters.items(), found.metrics
        self.assertEqual((len(name), len(value), metric), (untrusted.LONGEST_NAME, untrusted.LONGEST, name))
        self.assertNotIn("\u202e", f"{found}")
        self.assertEqual(found.lineage.commit, "ab")

    def test_a_state_that_is_new_is_unknown_and_not_live(self):
        found = trial.trial({"name": "a", "state": "paused"})
        self.assertEqual((found.state, found.state.live), (State.UNKNOWN, False))

    def test_parameters_of_any_kind_are_values(self):
        sent = {"a": True, "b": 1, "c": 0.5, "d": "x", "e": [1, 2], "f": None, "g": float("nan")}
        self.assertEqual(trial.trial({"name": "a", "parameters": sent}).parameters, {**sent, "e": "[1, 2]", "f": "None", "g": "nan"})

    def test_one_without_a_name_is_none(self):
        for sent in ({}, [], None, {"name": 7}, {"name": ""}):
            with self.assertRaises(NotATrial):
                trial.trial(sent)

    def test_an_experiment_has_its_source_and_trials(self):
        source = "kind: Experiment\n" * 1000
        sent = {"name": "a", "file": "experiments/a.yaml", "source": source, "environments": ["local", 7, ""], "trials": [{"name": "a-1"}]}
        found = trial.experiment({**sent, "dataset": "mnist", "cpuHours": 2, "cost": {"amount": 1, "currency": "USD"}})
        self.assertEqual((found.source, found.trials[0].name, found.environments), (source, "a-1", ("local",)))
        self.assertEqual((found.dataset, found.cpu_hours, found.cost), ("mnist", 2, Cost(1, "USD")))


if __name__ == "__main__":
    unittest.main()
