//! Line charts for training curves, one or several stacked into a figure, as PNG or SVG.
//!
//! They are designed for noisy curves: all points as a faint line, with their trend as a strong one above. A curve of 100,000 points is
//! reduced to what its pixels can show, so files stay small. A value that is not finite is a gap.
//!
//! Reading order: `series` (which points to show), `axis` (ticks), `chart` (layout), `guide` (dashed lines), `plane` (pictures of the
//! plane), `pen` (drawing in fractional pixels), `raster` (the bitmap backend), `font`.

mod axis;
mod chart;
mod font;
mod guide;
mod pen;
mod plane;
mod raster;
mod series;

use std::path::Path;

use plotters::backend::SVGBackend;
use plotters_backend::DrawingBackend;

pub use plane::{Cloud, Heat, Ink, Line, Mark, Plane, panels, span};

use self::{
    chart::{Area, Layout},
    pen::Pen,
    raster::Raster,
};
use crate::{Error, Picture};
use gan_base::atomic;

/// A named line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Name in the legend; an unnamed curve has no entry there.
    pub name: String,
    /// (x, y) in any order of x. A y that is NaN, infinite or beyond ±10³⁸ is a gap.
    pub points: Vec<(f64, f64)>,
}

/// A dashed horizontal line at a value that means something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guide {
    /// Value on the y axis.
    pub value: f64,
    /// Label at the end of the line where it covers least; may be empty.
    pub label: String,
}

/// Curves over one pair of axes. Empty labels take no space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Title, above on the left.
    pub title: String,
    /// Label below the x axis.
    pub x_label: String,
    /// Label beside the y axis, reading upwards.
    pub y_label: String,
    /// Curves in the order of the legend; colors repeat after seven.
    pub curves: Vec<Curve>,
    /// Horizontal guide lines.
    pub guides: Vec<Guide>,
    /// Lowest and highest y to show; `None` selects a range with at least 99.5 % of each curve's points, and all of its trend.
    pub y_range: Option<(f64, f64)>,
}

impl Chart {
    /// Writes the chart as PNG, `[width, height]` pixels; errors as for [`Figure::save_png`].
    pub fn save_png(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        self.alone().save_png(path, size)
    }

    /// Writes the chart as SVG, `[width, height]` pixels; errors as for [`Figure::save_svg`].
    pub fn save_svg(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        self.alone().save_svg(path, size)
    }

    fn alone(&self) -> Figure {
        Figure { charts: vec![self.clone()] }
    }
}

/// Charts of equal height, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// Charts from top to bottom.
    pub charts: Vec<Chart>,
}

/// SVG units per pixel: the backend draws at whole units, which would make curves jagged at 1.
const SVG_UNITS: usize = 8;

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
    /// [`Error::Shape`] without charts, for a size under 200 × 140 per chart, or over 16 million pixels.
    pub fn to_picture(&self, size: [u32; 2]) -> Result<Picture, Error> {
        self.check(size)?;
        let mut pen = Pen::new(Raster::new(size.map(|side| side as usize)), raster::OVERSAMPLING);
        self.draw(&mut pen, size)?;
        pen.into_backend()?.finish()
    }

    /// Returns the figure as an `<svg>` element of `[width, height]` pixels, on white, with its font, suitable for
    /// inlining into HTML. It scales without loss.
    ///
    /// # Errors
    /// As for [`Figure::to_picture`].
    pub fn to_svg(&self, size: [u32; 2]) -> Result<String, Error> {
        self.check(size)?;
        let [width, height] = size;
        let mut text = String::new();
        let units = size.map(|side| side * SVG_UNITS as u32);
        self.draw_svg(SVGBackend::with_string(&mut text, (units[0], units[1])), size)?;
        // plotters' opening tag sets a unit to a pixel; this one sets the size of the picture, and adds the font.
        let body = text.split_once('>').map_or("", |(_, body)| body);
        let (style, [across, down]) = (font::svg_style(), units);
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {across} {down}\" stroke-linejoin=\"round\">\n{style}\
             <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>{body}"
        ))
    }

    /// Writes the figure as PNG atomically.
    ///
    /// # Errors
    /// As for [`Figure::to_picture`], and [`Error::File`] naming `path`.
    pub fn save_png(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        self.to_picture(size)?.save_png(path)
    }

    /// Writes the figure as SVG atomically.
    ///
    /// # Errors
    /// As for [`Figure::to_picture`], and [`Error::File`] naming `path`.
    pub fn save_svg(&self, path: &Path, size: [u32; 2]) -> Result<(), Error> {
        Ok(atomic::write(path, self.to_svg(size)?.as_bytes())?)
    }

    fn draw_svg(&self, backend: SVGBackend, size: [u32; 2]) -> Result<(), Error> {
        let mut pen = Pen::new(backend, SVG_UNITS);
        self.draw(&mut pen, size)?;
        // Presenting closes the element.
        pen.into_backend().map(drop)
    }

    fn draw<B: DrawingBackend>(&self, pen: &mut Pen<B>, [width, height]: [u32; 2]) -> Result<(), Error> {
        let each = f64::from(height) / self.charts.len() as f64;
        let place = |index: usize| {
            let top = index as f64 * each;
            Area { left: 0.0, top: top + 4.0, right: f64::from(width), bottom: top + each - 4.0 }
        };
        let layouts = self.charts.iter().enumerate().map(|(index, chart)| Layout::new(chart, place(index)));
        let mut layouts: Vec<Layout> = layouts.collect();
        let left = layouts.iter().map(Layout::left).fold(0.0, f64::max);
        layouts.iter_mut().try_for_each(|layout| {
            layout.align(left);
            layout.draw(pen)
        })
    }

    fn check(&self, [width, height]: [u32; 2]) -> Result<(), Error> {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests;
