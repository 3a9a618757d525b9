"""The table of trials and its plot; and the charts of curves."""

import json
import unittest

import curves
import results
import trial
from results import Column
from stand_in_manager import HOSTILE, Manager


def sent(name: str, state: str = "finished", **more) -> trial.Trial:
    return trial.trial({"name": name, "experiment": "a", "state": state, **more})


class Table(unittest.TestCase):
    def setUp(self):
        self.trials = [trial.trial(one) for one in Manager().trials().values() if one["experiment"] == "mnist-cnn"]

    def test_parameters_that_are_equal_everywhere_are_left_out(self):
        self.assertEqual([column.title for column in results.parameters(self.trials).values()], ["Learning rate", "Dropout"])
        self.assertEqual(results.parameters(self.trials[:1]), {})

    def test_parameters_that_only_some_have_differ_if_these_do(self):
        trials = [sent("a", parameters={"x": 1, "y": True, "z": 1}), sent("b", parameters={"x": 2, "y": 1}), sent("c", parameters={"y": 1})]
        found = results.parameters(trials)
        self.assertEqual(found, {"x": Column("x", [1.0, 2.0, None], "%.6g"), "y": Column("y", ["true", "1", "1"])})

    def test_what_is_not_swept_is_known_of_a_sweep_too(self):
        swept = sent("a", parameters={"training.optimizer.learningRate": 0.01}, fixed={"model.architecture": "cnn", "training.epochs": 3})
        single = sent("b", parameters={"model.architecture": "mlp", "training.epochs": 3, "training.optimizer.learningRate": 0.1})
        found = results.parameters([swept, single])
        self.assertEqual([column.title for column in found.values()], ["Learning rate", "Architecture"])
        self.assertEqual(found["model.architecture"].values, ["cnn", "mlp"])

    def test_what_was_replaced_or_cancelled_says_so(self):
        trials = [sent("a", removed="replaced"), sent("b", "cancelled", removed="cancelled"), sent("c", removed="cancelled"), sent("d", removed="new")]
        self.assertEqual(results.table(trials)["state"].values, ["finished, replaced", "cancelled", "finished, cancelled", "finished"])

    def test_numbers_sort_as_numbers_and_mixed_values_as_texts(self):
        self.assertTrue(results.column("a", [1, 0.5, None]).numeric)
        self.assertEqual(results.column("a", [1, "adam", None]), Column("a", ["1", "adam", None]))
        self.assertEqual(results.column("a", [None]), Column("a", [None]))

    def test_measurements_have_the_digits_that_say_something(self):
        for values, expected in (([0.97123456, None], "%.4g"), ([9999.5], "%.4g"), ([12_345.678, 0.0], "%.0f"), ([12_345.678, 0.5], "%.6g"), ([], "%.4g")):
            self.assertEqual(results.measured("a", values).format, expected)

    def test_the_columns_are_what_is_known(self):
        titles = [column.title for column in results.table(self.trials).values()]
        metrics = ["loss", "validation accuracy", "test accuracy", "images per second"]
        self.assertEqual(titles, ["Trial", "State", "Ended", "Learning rate", "Dropout", *metrics, "Duration, min", "CPU-hours", "Cost, USD", "Version"])
        self.assertEqual([column.title for column in results.table([sent("a")]).values()], ["Trial", "State", "Ended"])
        several = [sent("a"), sent("b", experiment="b")]
        self.assertIn("experiment", results.table(several))

    def test_durations_have_a_unit_that_fits(self):
        for seconds, title, value in ((60, "Duration, s", 60), (120, "Duration, min", 2), (7200, "Duration, h", 2)):
            column = results.costs([sent("a", seconds=seconds)])["duration"]
            self.assertEqual((column.title, column.values), (title, [value]))

    def test_each_currency_has_a_column(self):
        trials = [sent("a", cost={"amount": 1, "currency": "USD"}), sent("b", cost={"amount": 2, "currency": "EUR"}), sent("c")]
        found = results.costs(trials)
        self.assertEqual([(column.title, column.values) for column in found.values()], [("Cost, EUR", [None, 2, None]), ("Cost, USD", [1, None, None])])

    def test_a_trial_is_told_from_others_by_what_differs(self):
        trials = [sent("a", parameters={"x": 1, "y": True, "z": 1}), sent("b", parameters={"x": 2, "z": 1, "y": False}), sent("c")]
        self.assertEqual(results.points(trials), {"a": "x 1, y true", "b": "x 2, y false", "c": ""})

    def test_a_program_may_log_any_number_of_things(self):
        many = {str(at): at for at in range(100)}
        trials = [sent("a", metrics=many, parameters=many), sent("b", parameters={name: at + 1 for name, at in many.items()})]
        self.assertEqual((len(results.metrics(trials)), len(results.parameters(trials))), (results.MOST_METRICS, results.MOST_PARAMETERS))


class Plot(unittest.TestCase):
    TRIALS = [sent("a"), sent("b"), sent("c", state="refused")]
    RATE, ACCURACY = Column("Rate", [0.001, 0.01, None], "%g"), Column("accuracy", [0.9, 0.95, 0.8], "%g")

    def test_trials_with_both_values_are_drawn(self):
        data, spec = results.plot(self.TRIALS, self.RATE, self.ACCURACY, None)
        self.assertEqual(data, {"x": [0.001, 0.01], "y": [0.9, 0.95], "trial": ["a", "b"], "state": ["finished", "finished"]})
        self.assertEqual(spec["encoding"]["x"]["scale"]["type"], "log")
        self.assertEqual(spec["encoding"]["y"]["scale"]["type"], "linear")
        self.assertIsNone(results.plot(self.TRIALS, Column("a", [None] * 3), self.ACCURACY, None))

    def test_the_parameter_that_most_can_be_drawn_by_is_taken(self):
        only_one = Column("learningRate", [None, None, 0.5], "%g")
        none = Column("epochs", [None] * 3, "%g")
        accuracy = Column("accuracy", [0.9, 0.95, None], "%g")
        self.assertEqual(results.most_drawn({"own": only_one, "rate": self.RATE}, accuracy), "rate")
        self.assertEqual(results.most_drawn({"first": none, "second": none}, accuracy), "first")

    def test_axes_fit_what_is_on_them(self):
        self.assertEqual(results.axis(Column("a", ["x"]), ["x"])["type"], "nominal")
        for values, kind in (([0.0, 1.0], "linear"), ([-1.0, 100.0], "linear"), ([1.0, 2.0], "linear"), ([1.0, 10.0], "log"), ([5e-324, 1e308], "linear")):
            self.assertEqual(results.axis(Column("a", values, "%g"), values)["scale"]["type"], kind)

    def test_few_colours_are_names_and_many_are_shades(self):
        _, spec = results.plot(self.TRIALS, self.RATE, self.ACCURACY, Column("Seed", [1.0, 2.0, 3.0], "%g"))
        self.assertEqual((spec["encoding"]["color"]["type"], spec["encoding"]["shape"]), ("nominal", spec["encoding"]["color"]))
        trials = [sent(str(at)) for at in range(20)]
        numbers = Column("a", [float(at) for at in range(20)], "%g")
        _, spec = results.plot(trials, numbers, numbers, numbers)
        self.assertEqual(spec["encoding"]["color"]["type"], "quantitative")
        _, spec = results.plot(trials, numbers, numbers, Column("a", [str(at) for at in range(20)]))
        self.assertEqual((spec["encoding"]["color"]["type"], spec["encoding"]["color"]["legend"]), ("nominal", None))

    def test_names_from_elsewhere_are_titles_alone(self):
        hostile = Column(f"a.b[0] {HOSTILE}", [1.0, 2.0, 3.0], "%g")
        _, spec = results.plot(self.TRIALS, hostile, hostile, hostile)
        fields = {encoding["field"] for encoding in spec["encoding"].values() if isinstance(encoding, dict)}
        self.assertEqual(fields, {"x", "y", "colour"})
        json.dumps(spec)


class Charts(unittest.TestCase):
    def test_a_line_for_each_trial(self):
        found = {"b": {"loss": [(1, 2.0), (2, 1.0)]}, "a": {"loss": [(1, 3.0), (2, 2.0)], "one": [(1, 1.0)]}}
        self.assertEqual(curves.names(found), ["loss"])
        data, spec = curves.chart("loss", found)
        self.assertEqual(data, {"step": [1, 2, 1, 2], "value": [2, 1, 3, 2], "trial": ["b", "b", "a", "a"]})
        for channel in ("color", "strokeDash"):
            self.assertEqual(spec["encoding"][channel]["scale"]["domain"], ["b", "a"])
        self.assertNotIn("color", curves.chart("loss", {"a": found["a"]})[1]["encoding"])

    def test_a_legend_is_escaped(self):
        legend = curves.legend({HOSTILE: "x 1", "b": HOSTILE})
        self.assertNotIn("<img", legend)
        self.assertIn("&lt;img", legend)
        self.assertEqual([legend.index(colour) > 0 for colour in curves.COLOURS[:2]], [True, True])

    def test_a_long_line_is_thinned(self):
        data, spec = curves.chart("loss", {"a": {"loss": [(at, 1.0) for at in range(10_000)]}})
        self.assertEqual(len(data["step"]), curves.POINTS)
        self.assertEqual(spec["mark"]["point"]["opacity"], 0)

    def test_a_live_chart_keeps_its_specification(self):
        found = [{"a": {"loss": [(at, 1.0) for at in range(points)]}} for points in (2, 10, 10_000)]
        specs = [curves.chart("loss", one, live=True)[1] for one in found]
        self.assertEqual(specs, specs[:1] * 3)
        self.assertNotEqual(curves.chart("loss", found[0])[1], specs[0])


if __name__ == "__main__":
    unittest.main()
