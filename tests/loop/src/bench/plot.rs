//! Lines in a picture, both of whose scales are logarithmic.

/// The size of the picture, and of the space around what is drawn.
const SIZE: (f64, f64) = (720.0, 400.0);
const AROUND: (f64, f64) = (64.0, 48.0);
/// The space for the names of the lines.
const NAMES: f64 = 130.0;
const COLOURS: [&str; 6] = ["#0b62a4", "#c1440e", "#2e7d32", "#7b3fa0", "#8a6d00", "#00796b"];

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What is above it.
    pub title: &'static str,
    /// What is along it.
    pub x: &'static str,
    /// What is up it.
    pub y: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// From left to right, all larger than zero.
    pub points: Vec<(f64, f64)>,
    /// Where it should be at most.
    pub goal: Option<(f64, f64)>,
}

/// The powers of ten around some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    from: i32,
    to: i32,
}

impl Scale {
    fn around(numbers: impl Iterator<Item = f64>) -> Self {
        let logarithms: Vec<f64> = numbers.filter(|number| *number > 0.0).map(f64::log10).collect();
        let least = logarithms.iter().copied().reduce(f64::min).unwrap_or(0.0);
        let most = logarithms.iter().copied().reduce(f64::max).unwrap_or(1.0);
        // a hair more is not the next power
        let (from, to) = ((least + 1e-9).floor() as i32, (most - 1e-9).ceil() as i32);
        Self { from, to: to.max(from + 1) }
    }

    /// Where a number is, from 0 to 1.
    fn share(self, number: f64) -> f64 {
        (number.log10() - f64::from(self.from)) / f64::from(self.to - self.from)
    }

    fn powers(self) -> impl Iterator<Item = f64> {
        (self.from..=self.to).map(|power| 10_f64.powi(power))
    }
}

impl Plot {
    /// The picture as SVG.
    pub fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| line.points.iter().chain(&line.goal));
        let (across, up) = (Scale::around(all().map(|point| point.0)), Scale::around(all().map(|point| point.1)));
        let (width, height) = (SIZE.0 - 2.0 * AROUND.0 - NAMES, SIZE.1 - 2.0 * AROUND.1);
        let at_x = |x: f64| AROUND.0 + width * across.share(x);
        let at_y = |y: f64| AROUND.1 + height * (1.0 - up.share(y));
        let (right, bottom) = (AROUND.0 + width, AROUND.1 + height);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            SIZE.0, SIZE.1
        );
        let mut add = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        let middle = AROUND.0 + width / 2.0;
        add(format!("<text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>", AROUND.0, escaped(self.title)));
        add(format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>", SIZE.1 - 10.0, escaped(self.x)));
        let turned = AROUND.1 + height / 2.0;
        add(format!(
            "<text transform=\"translate(16 {turned}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(self.y)
        ));
        for power in across.powers() {
            let x = at_x(power);
            add(format!("<path d=\"M{x:.1} {:.1}V{bottom:.1}\" stroke=\"#ddd\"/>", AROUND.1));
            add(format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>", bottom + 18.0, power));
        }
        for power in up.powers() {
            let y = at_y(power);
            add(format!("<path d=\"M{:.1} {y:.1}H{right:.1}\" stroke=\"#ddd\"/>", AROUND.0));
            let x = AROUND.0 - 8.0;
            add(format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", y + 4.0, power));
        }
        // names that would be upon each other are moved apart, from the top to the bottom
        let mut ends: Vec<(f64, usize)> = (0..self.lines.len())
            .filter_map(|number| Some((at_y(self.lines[number].points.last()?.1), number)))
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut lowest = f64::NEG_INFINITY;
        for (y, number) in ends {
            let line = &self.lines[number];
            let colour = COLOURS[number % COLOURS.len()];
            let points: Vec<String> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            add(format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            ));
            for (x, y) in &line.points {
                add(format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", at_x(*x), at_y(*y)));
            }
            if let Some((x, y)) = line.goal {
                add(format!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                    at_x(x),
                    at_y(y)
                ));
            }
            lowest = (lowest + 16.0).max(y);
            let (x, y) = (right + 12.0, lowest + 4.0);
            add(format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>", escaped(&line.name)));
        }
        add("</svg>".to_owned());
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_powers_of_ten() {
        assert_eq!(Scale::around([10.0, 10_000.0].into_iter()), Scale { from: 1, to: 4 });
        assert_eq!(Scale::around([0.5, 99.0].into_iter()), Scale { from: -1, to: 2 });
        assert_eq!(Scale::around([1.0].into_iter()), Scale { from: 0, to: 1 });
        assert_eq!(Scale::around(std::iter::empty()), Scale { from: 0, to: 1 });
        assert!((Scale { from: 0, to: 2 }.share(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_picture_has_each_line_its_name_and_its_goal() {
        let line = |name: &str, goal| Line { name: name.to_owned(), points: vec![(10.0, 1.0), (100.0, 9.0)], goal };
        let lines = vec![line("a & b", None), line("c", Some((100.0, 5.0)))];
        let svg = Plot { title: "title", x: "x", y: "y", lines }.svg();
        assert_eq!((svg.matches("<polyline").count(), svg.matches("<circle").count()), (2, 5));
        assert!(svg.contains(">a &amp; b</text>") && svg.contains(">100</text>") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
