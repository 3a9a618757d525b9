//! Pictures as text, for where no picture can be shown: a terminal, and a pull request whose pictures must not be in git.

/// From paper to ink.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// The widest picture that is drawn whole; of larger ones, pixels are left out.
const WIDEST: usize = 32;

/// A picture as lines of characters, each for two pixels, one above the other: `height × width` levels, row by row, 255 is ink.
#[must_use]
pub fn drawn([height, width]: [usize; 2], levels: &[u8]) -> Vec<String> {
    if levels.len() < height * width || width == 0 {
        return Vec::new();
    }
    let step = width.div_ceil(WIDEST);
    let level = |row: usize, column: usize| {
        if row < height && column < width { usize::from(levels[row * width + column]) } else { 0 }
    };
    let shade = |row: usize, column: usize| {
        let sum = level(row, column) + level(row + step, column);
        SHADES[(sum * (SHADES.len() - 1) + 255) / 510]
    };
    (0..height)
        .step_by(2 * step)
        .map(|row| (0..width).step_by(step).map(|column| shade(row, column)).collect())
        .collect()
}

/// Drawings beside each other.
pub(crate) fn beside(drawings: &[Vec<String>]) -> String {
    let rows = drawings.iter().map(Vec::len).max().unwrap_or_default();
    let line = |row: usize| {
        let line: Vec<String> = drawings
            .iter()
            .map(|drawing| {
                let width = drawing.first().map_or(0, |line| line.chars().count());
                drawing.get(row).cloned().unwrap_or_else(|| " ".repeat(width))
            })
            .collect();
        line.join("  ").trim_end().to_owned()
    };
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_with_shades() {
        assert_eq!(drawn([2, 3], &[0, 255, 255, 0, 0, 255]), [" ▒█"]);
        assert_eq!(drawn([1, 2], &[255, 0]), ["▒ "]);
        assert_eq!(drawn([64, 64], &[255; 64 * 64]).len(), 16);
        assert_eq!(drawn([2, 2], &[1]), Vec::<String>::new());
        assert_eq!(beside(&[vec!["ab".to_owned()], vec!["c".to_owned(), "d".to_owned()]]), "ab  c\n    d");
    }
}
