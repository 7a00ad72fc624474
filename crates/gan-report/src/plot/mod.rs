//! The figure of a run's losses as PNG or SVG, and pictures of points in the plane.
//!
//! Charts are designed for noisy curves: all points as a faint line, with their trend as a strong one above. A curve of 100,000 points is
//! reduced to what its pixels can show, so files stay small. A value that is not finite is a gap.
//!
//! Reading order: `series` (which points to show), `axis` (ticks), `chart` (layout of a chart), `plane` (pictures of the plane), `drawing`
//! (shapes, and the SVG), `raster` (the bitmap), `font`.

mod axis;
mod chart;
mod drawing;
pub(crate) mod font;
mod plane;
mod raster;
mod series;

pub use plane::{Cloud, Heat, Ink, Line, Mark, Plane, panels, span};

use self::chart::Layout;
use self::drawing::{Area, Drawing};
use crate::charts::{Chart, LOSSES};
use crate::{Error, Metrics, Picture};
use gan_base::atomic;
use std::path::Path;

/// Reads a run's `metrics.jsonl` and returns up to four charts over the step: losses of D and G; D's mean output for real samples and for
/// generated ones before and after its update; D's accuracy; gradient norms. Each is present if its fields are; the first always is. Damaged
/// lines are skipped.
///
/// # Errors
/// [`Error::File`] if `metrics` cannot be read.
pub fn losses_figure(metrics: &Path) -> Result<Figure, Error> {
    let bytes = gan_base::regular_file::read(metrics, crate::MOST_BYTES).map_err(Error::file("read", metrics))?;
    let (metrics, _) = Metrics::of_lines(&bytes);
    let mut charts: Vec<Chart> = LOSSES.iter().map(|known| known.chart(&metrics)).collect();
    let others = charts.extract_if(1.., |chart| chart.curves.is_empty());
    others.for_each(drop);
    Ok(Figure { charts })
}

/// Charts of equal height, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    charts: Vec<Chart>,
}

/// Minimum width and height of a chart with room for curves, and maximum number of pixels of a figure.
const LEAST: [u32; 2] = [200, 140];
const MOST_PIXELS: u64 = 1 << 24;

impl Figure {
    /// Returns a `[width, height]` for the number of charts: 1000 × 320 pixels each.
    pub fn suggested_size(&self) -> [u32; 2] {
        [1000, 320 * self.charts.len().max(1) as u32]
    }

    /// Draws the figure in RGB, `[width, height]` pixels on white.
    ///
    /// # Errors
    /// [`Error::Shape`] for a size under 200 × 140 per chart, or over 16 million pixels.
    pub fn to_picture(&self, size: [u32; 2]) -> Result<Picture, Error> {
        raster::picture(&self.drawing(size)?.0, size)
    }

    /// Returns the figure as an `<svg>` element of `[width, height]` pixels, on white, with its font, suitable for inlining into HTML. It
    /// scales without loss. Errors are as for [`Figure::to_picture`].
    pub fn to_svg(&self, size: [u32; 2]) -> Result<String, Error> {
        Ok(self.drawing(size)?.svg(size))
    }

    /// Writes the figure as PNG atomically. Errors are as for [`Figure::to_picture`], and [`Error::File`] naming `path`.
    pub fn save_png(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        self.to_picture(size)?.save_png(path)
    }

    /// Writes the figure as SVG atomically. Errors are as for [`Figure::save_png`].
    pub fn save_svg(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        Ok(atomic::write(path, self.to_svg(size)?.as_bytes())?)
    }

    fn drawing(&self, [width, height]: [u32; 2]) -> Result<Drawing, Error> {
        let count = self.charts.len();
        let shape = |problem: String| Err(Error::Shape(problem));
        if count == 0 {
            return shape("a figure needs at least one chart".into());
        }
        if width < LEAST[0] || u64::from(height) < u64::from(LEAST[1]) * count as u64 {
            let [least_x, least_y] = LEAST;
            return shape(format!("{width} × {height} pixels are too few for {count} charts of {least_x} × {least_y}"));
        }
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return shape(format!(
                "a plot of {width} × {height} pixels is too large; the most are {MOST_PIXELS} pixels"
            ));
        }
        let each = f64::from(height) / count as f64;
        let place = |index: usize| {
            let top = index as f64 * each;
            Area { left: 0.0, top: top + 4.0, right: f64::from(width), bottom: top + each - 4.0 }
        };
        let mut layouts: Vec<Layout> =
            self.charts.iter().enumerate().map(|(index, chart)| Layout::new(chart, place(index))).collect();
        // All y axes are in line.
        let left = layouts.iter().map(|layout| layout.plot.left).fold(0.0, f64::max);
        let mut drawing = Drawing::default();
        for layout in &mut layouts {
            layout.plot.left = left;
            layout.draw(&mut drawing);
        }
        Ok(drawing)
    }
}

#[cfg(test)]
mod tests;
