//! Charts in Mermaid, which GitHub draws itself.
//!
//! Source of the syntax: <https://mermaid.js.org/syntax/xyChart.html>

use std::fmt::Write as _;

use crate::amount::decimals;

/// The most lines of a chart, with the colours that the legend names.
const LINES: [(&str, &str); 5] =
    [("🟦", "#0969da"), ("🟧", "#bc4c00"), ("🟩", "#1a7f37"), ("🟥", "#cf222e"), ("🟪", "#8250df")];

/// The most lines of a chart.
pub(crate) const MOST_LINES: usize = LINES.len();

/// The most points of a line.
const POINTS: usize = 40;

/// The most bars of a chart.
const BARS: usize = 20;

/// Larger numbers than this are not drawn: their digits would be most of the chart.
const LARGEST: f64 = 1e12;

/// A history as pairs of step and value.
pub(crate) type Curve<'a> = &'a [(f64, f64)];

/// Histories of a metric as lines, and whether one of them ends before the others; `None` if there is nothing to draw. A line that ends
/// early keeps its last value; a history without a point that can be drawn has none.
pub(crate) fn lines(metric: &str, curves: &[Curve<'_>]) -> Option<(String, bool)> {
    let mut curves: Vec<Vec<(f64, f64)>> = curves.iter().take(MOST_LINES).map(|curve| drawable(curve)).collect();
    curves.retain(|curve| !curve.is_empty());
    let steps = || curves.iter().flatten().map(|(step, _)| *step);
    let (first, last) = (steps().reduce(f64::min)?, steps().reduce(f64::max)?);
    // a chart of one step would never end for Mermaid
    if last - first < 1e-6 * last.abs().max(1.0) {
        return None;
    }
    let points = curves.iter().map(Vec::len).max()?.clamp(2, POINTS);
    let grid: Vec<f64> = (0..points).map(|at| first + (last - first) * at as f64 / (points - 1) as f64).collect();
    let drawn: Vec<Vec<f64>> =
        curves.iter().map(|curve| grid.iter().map(|step| value_at(curve, *step)).collect()).collect();
    let mut text = begin(metric);
    let _ = writeln!(text, "    x-axis \"step\" {} --> {}", number(first), number(last));
    text.push_str(&value_axis(metric, drawn.iter().flatten().copied()));
    for line in drawn {
        let values: Vec<String> = line.into_iter().map(number).collect();
        let _ = writeln!(text, "    line [{}]", values.join(", "));
    }
    let ends_early = curves.iter().any(|curve| curve.last().is_some_and(|(step, _)| *step < last));
    Some((text + "```", ends_early))
}

/// Whether a history has a point that can be drawn.
pub(crate) fn has_line(curve: Curve<'_>) -> bool {
    !drawable(curve).is_empty()
}

/// The mark of a line in a legend.
pub(crate) fn mark(line: usize) -> &'static str {
    LINES.get(line).map_or("", |(mark, _)| *mark)
}

/// A value for each of some names as bars, and how many are drawn; `None` if there are fewer than two.
pub(crate) fn bars(metric: &str, by: &str, values: &[(String, f64)]) -> Option<(String, usize)> {
    let values: Vec<&(String, f64)> = values.iter().filter(|(_, value)| is_drawable(*value)).collect();
    if values.len() < 2 {
        return None;
    }
    // of many, some from the first to the last
    let shown = values.len().min(BARS);
    let values: Vec<&(String, f64)> = (0..shown).map(|at| values[at * (values.len() - 1) / (shown - 1)]).collect();
    let mut text = begin(&format!("{metric} by {by}"));
    let names: Vec<String> = values.iter().map(|(name, _)| format!("\"{}\"", plain(name))).collect();
    let _ = writeln!(text, "    x-axis \"{}\" [{}]", plain(by), names.join(", "));
    text.push_str(&value_axis(metric, values.iter().map(|(_, value)| *value)));
    let bars: Vec<String> = values.iter().map(|(_, value)| number(*value)).collect();
    let _ = writeln!(text, "    bar [{}]", bars.join(", "));
    Some((text + "```", shown))
}

/// A bar and a point of a line for each of some names, in the order that they have; `None` if there are fewer than two, or one is not a number.
#[must_use]
pub fn bars_and_line(title: &str, by: &str, values: &[(String, f64, f64)]) -> Option<String> {
    let all = || values.iter().flat_map(|(_, bar, line)| [*bar, *line]);
    if values.len() < 2 || values.len() > BARS || !all().all(is_drawable) {
        return None;
    }
    let mut text = begin(title);
    let names: Vec<String> = values.iter().map(|(name, ..)| format!("\"{}\"", plain(name))).collect();
    let _ = writeln!(text, "    x-axis \"{}\" [{}]", plain(by), names.join(", "));
    text.push_str(&value_axis(title, all()));
    let listed = |of: fn(&(String, f64, f64)) -> f64| values.iter().map(|one| number(of(one))).collect::<Vec<_>>();
    let _ = writeln!(text, "    bar [{}]", listed(|one| one.1).join(", "));
    let _ = writeln!(text, "    line [{}]", listed(|one| one.2).join(", "));
    Some(text + "```")
}

fn begin(title: &str) -> String {
    let colours: Vec<&str> = LINES.iter().map(|(_, colour)| *colour).collect();
    format!(
        "```mermaid\n%%{{init: {{\"themeVariables\": {{\"xyChart\": {{\"plotColorPalette\": \"{}\"}}}}}}}}%%\nxychart-beta\n    title \"{}\"\n",
        colours.join(", "),
        plain(title)
    )
}

/// An axis with some space below and above the values, so that no bar is invisible.
fn value_axis(metric: &str, values: impl Iterator<Item = f64>) -> String {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let gap = match (high - low) / 10.0 {
        gap if gap > 0.0 => gap,
        _ => (high.abs() / 10.0).max(0.01),
    };
    // an axis from 0 where nothing is below it
    let bottom = if low >= 0.0 { (low - gap).max(0.0) } else { low - gap };
    format!("    y-axis \"{}\" {} --> {}\n", plain(metric), number(bottom), number(high + gap))
}

/// The value of a curve at a step: between two points on the line that joins them, outside of it that of its end.
fn value_at(curve: &[(f64, f64)], step: f64) -> f64 {
    let after = curve.partition_point(|(at, _)| *at < step);
    match (after.checked_sub(1).and_then(|before| curve.get(before)), curve.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) if x1 > x0 => y0 + (y1 - y0) * (step - x0) / (x1 - x0),
        (_, Some((_, y))) | (Some((_, y)), None) => *y,
        (None, None) => 0.0,
    }
}

/// The points of a history that can be drawn, by step.
fn drawable(curve: Curve<'_>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> =
        curve.iter().copied().filter(|(step, value)| is_drawable(*step) && is_drawable(*value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn is_drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

fn number(value: f64) -> String {
    decimals(value, 4)
}

/// What of a text no chart takes for its syntax: letters, digits, blanks and `.-=`.
pub(crate) fn plain(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || ".-=".contains(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let text: String = words.join(" ").chars().take(40).collect();
    let text = text.trim().to_owned();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_value_at_each_step() {
        let (text, ends_early) =
            lines("accuracy", &[&[(1.0, 0.5), (2.0, 0.75), (3.0, 0.875)], &[(1.0, 0.25), (2.0, 0.5)]]).unwrap();
        assert!(ends_early);
        assert_eq!(
            text,
            "```mermaid\n%%{init: {\"themeVariables\": {\"xyChart\": {\"plotColorPalette\": \"#0969da, #bc4c00, #1a7f37, #cf222e, #8250df\"}}}}%%\n\
             xychart-beta\n    title \"accuracy\"\n    x-axis \"step\" 1 --> 3\n    y-axis \"accuracy\" 0.1875 --> 0.9375\n    \
             line [0.5, 0.75, 0.875]\n    line [0.25, 0.5, 0.5]\n```"
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert_eq!(lines("a", &[]), None);
        assert_eq!(lines("a", &[&[(1.0, 0.5)]]), None);
        assert_eq!(lines("a", &[&[(1.0, 0.5), (1.0, 0.6)]]), None);
        assert_eq!(lines("a", &[&[(f64::NAN, 0.5), (2.0, f64::INFINITY)]]), None);
        // one without a number takes nobody else's line away
        let (line, nan) = ([(1.0, 0.5), (2.0, 0.75)], [(1.0, f64::NAN), (2.0, f64::NAN)]);
        assert_eq!(lines("a", &[&nan, &line]), lines("a", &[&line]));
        assert!(lines("a", &[&line]).is_some() && has_line(&line) && !has_line(&nan));
        let long: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 1.0)).collect();
        let (text, _) = lines("a", &[&long]).unwrap();
        assert!(text.len() < 1_000 && text.contains("y-axis \"a\" 0.9 --> 1.1"), "{text}");
        let many: Vec<(String, f64)> = (0..1_000).map(|index| (index.to_string(), f64::from(index))).collect();
        let (text, shown) = bars("a", "b", &many).unwrap();
        assert!(shown == 20 && text.contains("[\"0\", \"52\"") && text.contains("\"999\"]"), "{text}");
        assert_eq!(bars("a", "b", &many[..1]), None);
    }

    #[test]
    fn bars_stand_beside_a_line() {
        let of = |name: &str, bar, line| (name.to_owned(), bar, line);
        let text = bars_and_line("share", "class", &[of("0", 0.5, 0.1), of("\"]", 0.25, 0.2)]).unwrap();
        assert!(text.contains("x-axis \"class\" [\"0\", \"-\"]\n    y-axis \"share\" 0.06 --> 0.54\n"), "{text}");
        assert!(text.ends_with("    bar [0.5, 0.25]\n    line [0.1, 0.2]\n```"), "{text}");
        assert_eq!(bars_and_line("a", "b", &[of("0", 0.5, f64::NAN), of("1", 0.1, 0.1)]), None);
    }

    #[test]
    fn no_text_is_syntax() {
        assert_eq!(plain("learningRate=0.001"), "learningRate=0.001");
        assert_eq!(plain("\"]\nbar [1]\n```--> @octo <b>"), "bar 1 -- octo b");
        assert_eq!(plain("💥"), "-");
    }
}
