//! Painting of a drawing into memory: smooth lines of any width, and text from the embedded font.
//!
//! A line covers each pixel by its distance to the line, once however often it passes, so that a noisy curve has neither holes nor darker
//! crossings. All is painted at twice the size and averaged down in the end.

use super::drawing::{Align, Point, Rgb, Shape, scaled};
use super::font;
use crate::{Colour, Error, Picture};

/// Number of painted pixels per pixel of the result, along each axis.
const OVERSAMPLING: usize = 2;

/// Paints `shapes` in RGB on white, `[width, height]` pixels.
pub(super) fn picture(shapes: &[Shape], size: [u32; 2]) -> Result<Picture, Error> {
    let mut raster = Raster::new(size.map(|side| side as usize));
    shapes.iter().for_each(|shape| raster.paint(shape));
    raster.finish()
}

/// A white canvas, `[height, width, 3]`.
struct Raster {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Raster {
    /// Returns a canvas for a result of `width` × `height`, [`OVERSAMPLING`] times as large.
    fn new(size: [usize; 2]) -> Self {
        let [width, height] = size.map(|side| side * OVERSAMPLING);
        Self { width, height, data: vec![255; width * height * 3] }
    }

    /// Returns the average of each block of pixels.
    fn finish(self) -> Result<Picture, Error> {
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

    /// Blends `colour` over a pixel; does nothing outside of the canvas.
    fn blend(&mut self, x: i32, y: i32, colour: Rgb, opacity: f64) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let pixel = &mut self.data[(y * self.width + x) * 3..][..3];
        for (below, above) in pixel.iter_mut().zip(colour) {
            let mixed = f64::from(*below) + (f64::from(above) - f64::from(*below)) * opacity;
            *below = mixed.round() as u8;
        }
    }

    fn paint(&mut self, shape: &Shape) {
        const SCALE: f64 = OVERSAMPLING as f64;
        let place = |point: &Point| scaled(*point, SCALE);
        let whole = |pixels: f64| (pixels * SCALE).round().max(1.0) as u32;
        match shape {
            Shape::Line(points, stroke) => {
                let corners: Vec<[i32; 2]> = points.iter().map(place).collect();
                self.line(&corners, whole(stroke.width), stroke.colour, stroke.opacity);
            }
            // A line of no length has round ends.
            Shape::Dot(centre, radius, colour, opacity) => {
                self.line(&[place(centre); 2], 2 * whole(*radius), *colour, *opacity);
            }
            Shape::Area(area, colour, opacity) => {
                let [left, top] = place(&(area.left, area.top)).map(|side| side.max(0));
                let [right, bottom] = place(&(area.right, area.bottom));
                for y in top..=bottom.min(self.height as i32) {
                    (left..=right.min(self.width as i32)).for_each(|x| self.blend(x, y, *colour, *opacity));
                }
            }
            Shape::Text(text, at, align, kind) => {
                let [x, y] = place(at);
                let em = kind.size * SCALE;
                let shift = match align {
                    Align::Left => 0.0,
                    Align::Centre | Align::Upwards => -font::width(text, em) / 2.0,
                    Align::Right => -font::width(text, em),
                };
                font::cover(text, em as f32, |dx, dy, coverage| {
                    let dx = dx + shift.round() as i32;
                    let [dx, dy] = if matches!(align, Align::Upwards) { [dy, -dx] } else { [dx, dy] };
                    self.blend(x + dx, y + dy, kind.colour, f64::from(coverage));
                });
            }
        }
    }

    fn line(&mut self, corners: &[[i32; 2]], width: u32, colour: Rgb, opacity: f64) {
        let mut mask = Mask::new(corners, width, [self.width, self.height]);
        corners.windows(2).for_each(|ends| mask.segment(ends[0], ends[1]));
        for (at, &coverage) in mask.coverage.iter().enumerate().filter(|(_, coverage)| **coverage > 0.0) {
            let x = (at % mask.width) as i32 + mask.left;
            let y = (at / mask.width) as i32 + mask.top;
            self.blend(x, y, colour, opacity * f64::from(coverage));
        }
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
    fn new(corners: &[[i32; 2]], stroke: u32, canvas: [usize; 2]) -> Self {
        let reach = stroke as i32 / 2 + 2;
        let extent = |axis: fn(&[i32; 2]) -> i32, most: usize| {
            let low = corners.iter().map(axis).min().unwrap_or(0).saturating_sub(reach).max(0);
            let high = corners.iter().map(axis).max().unwrap_or(0).saturating_add(reach).min(most as i32 - 1);
            (low, (high - low + 1).max(0) as usize)
        };
        let (left, width) = extent(|p| p[0], canvas[0]);
        let (top, height) = extent(|p| p[1], canvas[1]);
        Self { left, top, width, height, radius: stroke as f32 / 2.0, coverage: vec![0.0; width * height] }
    }

    /// Covers what lies within the line's radius of the segment; a soft edge one pixel wide, round ends.
    fn segment(&mut self, a: [i32; 2], b: [i32; 2]) {
        let reach = self.radius as i32 + 2;
        let span = |a: i32, b: i32, origin: i32, size: usize| {
            let low = (a.min(b) - reach - origin).clamp(0, size as i32);
            let high = (a.max(b) + reach + 1 - origin).clamp(0, size as i32);
            low as usize..high as usize
        };
        let columns = span(a[0], b[0], self.left, self.width);
        for row in span(a[1], b[1], self.top, self.height) {
            for column in columns.clone() {
                let pixel = [column as i32 + self.left, row as i32 + self.top];
                let covered = (self.radius + 0.5 - distance(pixel, a, b)).clamp(0.0, 1.0);
                let cell = &mut self.coverage[row * self.width + column];
                *cell = cell.max(covered);
            }
        }
    }
}

/// Returns the distance from `p` to the nearest point of the segment between `a` and `b`.
fn distance(p: [i32; 2], a: [i32; 2], b: [i32; 2]) -> f32 {
    let minus = |p: [i32; 2], q: [i32; 2]| [0, 1].map(|axis| (p[axis] - q[axis]) as f32);
    let [px, py] = minus(p, a);
    let [dx, dy] = minus(b, a);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - along * dx).hypot(py - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shade(raster: &Raster, x: usize, y: usize) -> u8 {
        raster.data[(y * raster.width + x) * 3]
    }

    #[test]
    fn a_line_that_crosses_itself_is_no_darker_there() {
        let mut raster = Raster::new([20, 20]);
        raster.line(&[[5, 20], [35, 20], [20, 5], [20, 35]], 1, [0; 3], 0.5);
        assert_eq!(shade(&raster, 10, 20), 128);
        assert_eq!(shade(&raster, 20, 20), 128);
        assert_eq!(shade(&raster, 10, 24), 255);
    }

    #[test]
    fn drawing_is_clipped_to_the_picture() {
        let mut raster = Raster::new([4, 4]);
        raster.line(&[[-100, 3], [100, 3]], 1, [0; 3], 0.5);
        raster.line(&[[-50, -50], [-40, -40]], 1, [0; 3], 0.5);
        raster.line(&[], 1, [0; 3], 0.5);
        assert_eq!((shade(&raster, 0, 3), shade(&raster, 7, 3), shade(&raster, 0, 0)), (128, 128, 255));
    }

    #[test]
    fn blocks_are_averaged() {
        let mut raster = Raster::new([2, 1]);
        raster.blend(2, 0, [0, 100, 255], 1.0);
        let picture = raster.finish().unwrap();
        assert_eq!(picture.data(), [255, 255, 255, 191, 216, 255]);
    }
}
