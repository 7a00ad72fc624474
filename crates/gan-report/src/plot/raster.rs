//! A plotters backend that paints into memory: smooth lines of any width, and text from the embedded font.
//!
//! plotters' own bitmap backend turns a wide line into one polygon, which leaves holes where a noisy curve crosses
//! itself, and drops the space to the left of each glyph. Here a line covers each pixel by its distance to the line,
//! once however often it passes. All is drawn at twice the size and averaged down in the end.

use std::convert::Infallible;

use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, text_anchor::HPos,
};

use super::font;
use crate::{Colour, Error, Picture};

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// Number of painted pixels per pixel of the result, along each axis.
pub(super) const OVERSAMPLING: usize = 2;

/// A white canvas, `[height, width, 3]`.
pub(super) struct Raster {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Raster {
    /// Returns a canvas for a result of `width` × `height`, [`OVERSAMPLING`] times as large.
    pub(super) fn new([width, height]: [usize; 2]) -> Self {
        let (width, height) = (width * OVERSAMPLING, height * OVERSAMPLING);
        Self { width, height, data: vec![255; width * height * 3] }
    }

    /// Returns the average of each block of pixels.
    pub(super) fn finish(self) -> Result<Picture, Error> {
        const N: usize = OVERSAMPLING;
        let size = [self.width / N, self.height / N];
        let block = |x: usize, y: usize, channel: usize| {
            let cells = (0..N * N).map(|i| ((y * N + i / N) * self.width + x * N + i % N) * 3 + channel);
            (cells.map(|at| usize::from(self.data[at])).sum::<usize>() + N * N / 2) / (N * N)
        };
        let pixels = (0..size[1]).flat_map(|y| (0..size[0]).map(move |x| (x, y)));
        let data = pixels.flat_map(|(x, y)| [0, 1, 2].map(|channel| block(x, y, channel) as u8)).collect();
        Picture::new(Colour::Rgb, size, data)
    }

    /// Blends `colour` over the pixel with its alpha; does nothing outside of the canvas.
    fn blend(&mut self, x: i32, y: i32, colour: BackendColor) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let (red, green, blue) = colour.rgb;
        let pixel = &mut self.data[(y * self.width + x) * 3..][..3];
        for (below, above) in pixel.iter_mut().zip([red, green, blue]) {
            let mixed = f64::from(*below) + (f64::from(above) - f64::from(*below)) * colour.alpha;
            *below = mixed.round() as u8;
        }
    }
}

impl DrawingBackend for Raster {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.blend(x, y, colour);
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let corners: Vec<BackendCoord> = path.into_iter().collect();
        let mut mask = Mask::new(&corners, style.stroke_width(), self.get_size());
        corners.windows(2).for_each(|ends| mask.segment(ends[0], ends[1]));
        for (at, &coverage) in mask.coverage.iter().enumerate().filter(|(_, coverage)| **coverage > 0.0) {
            let (x, y) = ((at % mask.width) as i32 + mask.left, (at / mask.width) as i32 + mask.top);
            self.blend(x, y, style.color().mix(f64::from(coverage)));
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, (x, y): BackendCoord) -> Drawn {
        // plotters calls a font's size what is 1.24 em, in its SVG backend too.
        let em = style.size() / 1.24;
        let shift = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -font::width(text, em) / 2.0,
            HPos::Right => -font::width(text, em),
        };
        font::cover(text, em as f32, |dx, dy, coverage| {
            let (dx, dy) = style.transform().transform(dx + shift.round() as i32, dy);
            self.blend(x + dx, y + dy, style.color().mix(f64::from(coverage)));
        });
        Ok(())
    }
}

/// Coverage of each pixel of a rectangle by a line, 0 to 1, row by row.
struct Mask {
    left: i32,
    top: i32,
    width: usize,
    height: usize,
    radius: f32,
    coverage: Vec<f32>,
}

impl Mask {
    /// Returns a mask for a line of `stroke` pixels through `corners`, clipped to the canvas.
    fn new(corners: &[BackendCoord], stroke: u32, canvas: (u32, u32)) -> Self {
        let reach = stroke as i32 / 2 + 2;
        let extent = |axis: fn(&BackendCoord) -> i32, most: u32| {
            let low = corners.iter().map(axis).min().unwrap_or(0).saturating_sub(reach).max(0);
            let high = corners.iter().map(axis).max().unwrap_or(0).saturating_add(reach).min(most as i32 - 1);
            (low, (high - low + 1).max(0) as usize)
        };
        let ((left, width), (top, height)) = (extent(|p| p.0, canvas.0), extent(|p| p.1, canvas.1));
        Self { left, top, width, height, radius: stroke as f32 / 2.0, coverage: vec![0.0; width * height] }
    }

    /// Covers what lies within the line's radius of the segment; a soft edge one pixel wide, round ends.
    fn segment(&mut self, a: BackendCoord, b: BackendCoord) {
        let reach = self.radius as i32 + 2;
        let span = |a: i32, b: i32, origin: i32, size: usize| {
            let low = (a.min(b) - reach - origin).clamp(0, size as i32);
            let high = (a.max(b) + reach + 1 - origin).clamp(0, size as i32);
            low as usize..high as usize
        };
        let columns = span(a.0, b.0, self.left, self.width);
        for row in span(a.1, b.1, self.top, self.height) {
            for column in columns.clone() {
                let pixel = (column as i32 + self.left, row as i32 + self.top);
                let covered = (self.radius + 0.5 - distance(pixel, a, b)).clamp(0.0, 1.0);
                let cell = &mut self.coverage[row * self.width + column];
                *cell = cell.max(covered);
            }
        }
    }
}

/// Returns the distance from `p` to the nearest point of the segment between `a` and `b`.
fn distance(p: BackendCoord, a: BackendCoord, b: BackendCoord) -> f32 {
    let minus = |p: BackendCoord, q: BackendCoord| ((p.0 - q.0) as f32, (p.1 - q.1) as f32);
    let ((px, py), (dx, dy)) = (minus(p, a), minus(b, a));
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - along * dx).hypot(py - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: BackendColor = BackendColor { alpha: 0.5, rgb: (0, 0, 0) };

    fn shade(raster: &Raster, x: usize, y: usize) -> u8 {
        raster.data[(y * raster.width + x) * 3]
    }

    #[test]
    fn a_line_that_crosses_itself_is_no_darker_there() {
        let mut raster = Raster::new([20, 20]);
        raster.draw_path([(5, 20), (35, 20), (20, 5), (20, 35)], &INK).unwrap();
        assert_eq!(shade(&raster, 10, 20), 128);
        assert_eq!(shade(&raster, 20, 20), 128);
        assert_eq!(shade(&raster, 10, 24), 255);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut raster = Raster::new([4, 4]);
        raster.draw_path([(-100, 3), (100, 3)], &INK).unwrap();
        raster.draw_path([(-50, -50), (-40, -40)], &INK).unwrap();
        raster.draw_path([], &INK).unwrap();
        assert_eq!((shade(&raster, 0, 3), shade(&raster, 7, 3), shade(&raster, 0, 0)), (128, 128, 255));
    }

    #[test]
    fn blocks_are_averaged() {
        let mut raster = Raster::new([2, 1]);
        raster.blend(2, 0, BackendColor { alpha: 1.0, rgb: (0, 100, 255) });
        let picture = raster.finish().unwrap();
        assert_eq!(picture.data(), [255, 255, 255, 191, 216, 255]);
    }
}
