//! Corruptions that draw: lines across the picture, and its edges alone.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::image::{Picture, SIDE, between, blur, each, pixel};

const LAST: f64 = SIDE as f64 - 1.0;

pub(crate) fn dotted(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let (from, to) = (between(random, 2.0, LAST - 2.0), between(random, 2.0, LAST - 2.0));
    let mut picture = *clean;
    let (tall, wide) = (to - from, LAST);
    let length = tall.hypot(wide);
    let mut way = 0.0;
    while way <= length {
        // a dot and a gap of two pixels each
        if way % 4.0 < 2.0 {
            stroke(&mut picture, from + tall * way / length, wide * way / length, strength);
        }
        way += 0.25;
    }
    picture
}

pub(crate) fn zigzag(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let (from, to) = (between(random, 4.0, LAST - 4.0), between(random, 4.0, LAST - 4.0));
    let mut picture = *clean;
    let teeth = 4.0;
    let steps = 400;
    for step in 0..=steps {
        let way = f64::from(step) / f64::from(steps);
        // from -1 to 1 and back in each tooth
        let tooth = 4.0 * ((teeth * way).fract() - 0.5).abs() - 1.0;
        stroke(&mut picture, from + (to - from) * way + 3.0 * tooth, LAST * way, strength);
    }
    picture
}

/// Ink of this brightness at a point, spread over the four nearest pixels.
fn stroke(picture: &mut Picture, row: f64, column: f64, brightness: f64) {
    let (top, left) = (row.floor(), column.floor());
    for (y, x) in [(top, left), (top, left + 1.0), (top + 1.0, left), (top + 1.0, left + 1.0)] {
        if (0.0..=LAST).contains(&y) && (0.0..=LAST).contains(&x) {
            let near = (1.0 - (row - y).abs()) * (1.0 - (column - x).abs());
            let value = &mut picture[y as usize * SIDE + x as usize];
            *value = value.max(brightness * (2.0 * near).min(1.0));
        }
    }
}

pub(crate) fn canny(clean: &Picture, strength: f64) -> Picture {
    let edges = edges(clean);
    each(|row, column| {
        let index = row * SIDE + column;
        (1.0 - strength) * clean[index] + strength * edges[index]
    })
}

/// Canny's edges: the gradient of the blurred picture, thinned to its crests; strong ones, and weak ones that touch them.
fn edges(clean: &Picture) -> Picture {
    let smooth = blur(clean, 1.0);
    let at =
        |row: usize, column: usize, down: i64, right: i64| pixel(&smooth, row as i64 + down, column as i64 + right);
    let sobel = |row: usize, column: usize| {
        let a = |down, right| at(row, column, down, right);
        let down = a(1, -1) + 2.0 * a(1, 0) + a(1, 1) - a(-1, -1) - 2.0 * a(-1, 0) - a(-1, 1);
        let right = a(-1, 1) + 2.0 * a(0, 1) + a(1, 1) - a(-1, -1) - 2.0 * a(0, -1) - a(1, -1);
        (down / 4.0, right / 4.0)
    };
    let size = each(|row, column| sobel(row, column).0.hypot(sobel(row, column).1));
    let crest = each(|row, column| {
        let (down, right) = sobel(row, column);
        let length = size[row * SIDE + column];
        let (step_down, step_right) = match (down.abs(), right.abs()) {
            (down, right) if right > 2.414 * down => (0, 1),
            (down, right) if down > 2.414 * right => (1, 0),
            _ if down * right > 0.0 => (1, 1),
            _ => (1, -1),
        };
        let (row, column) = (row as i64, column as i64);
        let before = pixel(&size, row - step_down, column - step_right);
        let after = pixel(&size, row + step_down, column + step_right);
        // one side may be equal, or a crest of two equal pixels would be none
        if length > before && length >= after { length } else { 0.0 }
    });
    let (weak, strong) = (0.1, 0.2);
    let mut edges = crest.map(|length| if length >= strong { 1.0 } else { 0.0 });
    let mut queue: VecDeque<usize> = (0..edges.len()).filter(|&index| edges[index] > 0.0).collect();
    while let Some(index) = queue.pop_front() {
        for down in -1..=1 {
            for right in -1..=1 {
                let (row, column) = ((index / SIDE) as i64 + down, (index % SIDE) as i64 + right);
                if pixel(&crest, row, column) >= weak && pixel(&edges, row, column) == 0.0 {
                    let other = row as usize * SIDE + column as usize;
                    edges[other] = 1.0;
                    queue.push_back(other);
                }
            }
        }
    }
    edges
}
