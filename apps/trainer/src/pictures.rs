//! Pictures of a trial's evaluation, as PNG: the confusion matrix and the worst mistakes.

use crate::evaluate::Evaluation;
use crate::failure::{Failure, Result};
use crate::font;
use crate::images::Images;

type Colour = [u8; 3];
const WHITE: Colour = [255, 255, 255];
const BLACK: Colour = [30, 30, 30];
const GREY: Colour = [150, 150, 150];
const GREEN: Colour = [0, 120, 70];
const RED: Colour = [190, 30, 30];

/// Rows are labels, columns answers; right answers are green, wrong ones red, darker where more images are.
pub(crate) fn confusion_matrix(evaluation: &Evaluation) -> Result<Vec<u8>> {
    const CELL: usize = 44;
    let classes = evaluation.confusion.len();
    let side = (classes + 1) * CELL;
    let mut canvas = Canvas::new(side, side);
    for (i, row) in evaluation.confusion.iter().enumerate() {
        let at = (i + 1) * CELL;
        canvas.text_centred(&i.to_string(), at, 0, CELL, 2, GREY);
        canvas.text_centred(&i.to_string(), 0, at, CELL, 2, GREY);
        let total = row.iter().sum::<u32>().max(1);
        for (j, &count) in row.iter().enumerate() {
            let share = f64::from(count) / f64::from(total);
            // the square root makes a single mistake visible beside a hundred right answers
            let colour = blend(if i == j { GREEN } else { RED }, share.sqrt());
            let x = (j + 1) * CELL;
            canvas.rectangle(x + 1, at + 1, CELL - 2, CELL - 2, colour);
            if count > 0 {
                let ink = if share > 0.3 { WHITE } else { BLACK };
                canvas.text_centred(&count.to_string(), x, at, CELL, 2, ink);
            }
        }
    }
    canvas.png()
}

/// Up to 25 mistakes, the most confident first, each with its label, the model's answer and the answer's probability.
pub(crate) fn worst_mistakes(evaluation: &Evaluation, images: &Images) -> Result<Vec<u8>> {
    const COLUMNS: usize = 5;
    const SCALE: usize = 4;
    const TEXT: usize = 24;
    const GAP: usize = 8;
    let shown = &evaluation.mistakes[..evaluation.mistakes.len().min(25)];
    let (width, height) = (images.width * SCALE, images.height * SCALE);
    let rows = shown.len().div_ceil(COLUMNS).max(1);
    let mut canvas = Canvas::new(COLUMNS * (width + GAP) + GAP, rows * (height + TEXT + GAP) + GAP);
    for (i, mistake) in shown.iter().enumerate() {
        let x = GAP + (i % COLUMNS) * (width + GAP);
        let y = GAP + (i / COLUMNS) * (height + TEXT + GAP);
        for (at, pixel) in images.image(mistake.index).iter().enumerate() {
            let (px, py) = (at % images.width, at / images.width);
            // ink is high in the data and dark on paper
            canvas.rectangle(x + px * SCALE, y + py * SCALE, SCALE, SCALE, [255 - pixel; 3]);
        }
        let percent = (mistake.probability * 100.0).round() as u32;
        let label = canvas.text(&mistake.label.to_string(), x, y + height + 6, 2, GREEN);
        let arrow = canvas.text(">", label, y + height + 6, 2, GREY);
        let answer = canvas.text(&mistake.answer.to_string(), arrow, y + height + 6, 2, RED);
        canvas.text(&format!("{percent}%"), answer + 8, y + height + 6, 2, GREY);
    }
    canvas.png()
}

fn blend(colour: Colour, share: f64) -> Colour {
    colour.map(|part| (255.0 - (255.0 - f64::from(part)) * share) as u8)
}

struct Canvas {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, bytes: vec![255; width * height * 3] }
    }

    /// Fills a rectangle, clipped to the canvas.
    fn rectangle(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        for y in y..(y + height).min(self.height) {
            for x in x..(x + width).min(self.width) {
                let at = (y * self.width + x) * 3;
                self.bytes[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    /// Draws text, and returns the `x` at which the next character would begin.
    fn text(&mut self, text: &str, x: usize, y: usize, scale: usize, colour: Colour) -> usize {
        let mut x = x;
        for character in text.chars() {
            for (row, bits) in font::rows(character).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    if bits & (1 << (font::WIDTH - 1 - column)) != 0 {
                        self.rectangle(x + column * scale, y + row * scale, scale, scale, colour);
                    }
                }
            }
            x += (font::WIDTH + 1) * scale;
        }
        x
    }

    fn text_centred(&mut self, text: &str, x: usize, y: usize, cell: usize, scale: usize, colour: Colour) {
        let width = (text.chars().count() * (font::WIDTH + 1)).saturating_sub(1) * scale;
        let (dx, dy) = (cell.saturating_sub(width) / 2, cell.saturating_sub(font::HEIGHT * scale) / 2);
        self.text(text, x + dx, y + dy, scale, colour);
    }

    fn png(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.bytes))
            .map_err(|error| Failure::Unexpected(format!("cannot encode a PNG: {error}")))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Mistake;
    use crate::synthetic::synthetic;

    fn evaluation(mistakes: usize) -> Evaluation {
        let mut confusion = vec![vec![0; 10]; 10];
        for (i, row) in confusion.iter_mut().enumerate() {
            row[i] = 95;
        }
        confusion[4][9] = 5;
        let mistake = Mistake { index: 3, label: 4, answer: 9, probability: 0.876 };
        Evaluation { accuracy: 0.95, confusion, mistakes: vec![mistake; mistakes] }
    }

    fn size(png: &[u8]) -> (u32, u32) {
        let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        reader.info().size()
    }

    #[test]
    fn pictures_are_pngs_also_without_mistakes() {
        let images = synthetic(10, 1).unwrap();
        assert_eq!(size(&confusion_matrix(&evaluation(5)).unwrap()), (484, 484));
        assert_eq!(size(&worst_mistakes(&evaluation(0), &images).unwrap()), (608, 152));
        assert_eq!(size(&worst_mistakes(&evaluation(60), &images).unwrap()), (608, 728));
    }
}
