//! Dashed horizontal lines at values that mean something, and their labels where they cover least.

use plotters::style::RGBColor;
use plotters_backend::DrawingBackend;

use super::{
    Guide,
    chart::{Area, Drawn, FRAME, Plot, SMALL},
    font,
    pen::{Align, Pen, Point, Stroke},
};
use crate::Error;

const DASH: f64 = 6.0;
const PERIOD: f64 = 10.0;

/// Half the height of a label, and its distance from the line and from the end.
const HALF: f64 = 7.0;
const OFF: f64 = 4.0;

pub(super) fn lines<B: DrawingBackend>(pen: &mut Pen<B>, guides: &[Guide], plot: &Plot) -> Result<(), Error> {
    let Area { left, right, .. } = plot.area;
    for y in guides.iter().filter_map(|guide| plot.height_of(guide.value)) {
        for start in (0..=((right - left) / PERIOD) as usize).map(|dash| left + dash as f64 * PERIOD) {
            let end = (start + DASH).min(right);
            pen.line(&[(start, y), (end, y)], Stroke { colour: FRAME, opacity: 1.0, width: 1.0 })?;
        }
    }
    Ok(())
}

/// Each on a veil that keeps it legible over what it covers all the same.
pub(super) fn labels<B: DrawingBackend>(
    pen: &mut Pen<B>,
    guides: &[Guide],
    plot: &Plot,
    curves: &[Drawn],
) -> Result<(), Error> {
    let points = || curves.iter().flat_map(|curve| &curve.trend).flatten().map(|&point| plot.place(point));
    for guide in guides.iter().filter(|guide| !guide.label.is_empty()) {
        let Some(y) = plot.height_of(guide.value) else { continue };
        let veil = freest(plot.area, y, font::width(&guide.label, SMALL.size), points);
        pen.area((veil.left, veil.top), (veil.right, veil.bottom), RGBColor(255, 255, 255), 0.8)?;
        let middle = ((veil.left + veil.right) / 2.0, (veil.top + veil.bottom) / 2.0);
        pen.text(&guide.label, middle, Align::Centre, SMALL)?;
    }
    Ok(())
}

/// Above or below the line, at its right or left end: the place within the plot with the fewest points.
fn freest<I: Iterator<Item = Point>>(plot: Area, y: f64, width: f64, points: impl Fn() -> I) -> Area {
    let right = plot.right - OFF - width / 2.0;
    let left = plot.left + OFF + width / 2.0;
    let (above, below) = (y - HALF - 2.0, y + HALF + 2.0);
    let around = |(x, y): Point| Area {
        left: x - width / 2.0 - OFF,
        top: y - HALF,
        right: x + width / 2.0 + OFF,
        bottom: y + HALF,
    };
    let places = [(right, above), (right, below), (left, above), (left, below)].map(around);
    let inside = |place: &Area| place.top >= plot.top && place.bottom <= plot.bottom;
    let covered = |place: &Area| points().filter(|&point| place.holds(point)).count();
    places.into_iter().filter(inside).min_by_key(covered).unwrap_or(places[0])
}

impl Area {
    fn holds(&self, (x, y): Point) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Area = Area { left: 0.0, top: 0.0, right: 200.0, bottom: 100.0 };

    #[test]
    fn a_label_avoids_curves_and_edges() {
        let free = freest(PLOT, 50.0, 40.0, std::iter::empty);
        assert!(free.right == 200.0 && free.bottom < 50.0, "right and above, where nothing is in the way");
        let crowded = freest(PLOT, 50.0, 40.0, || [(180.0, 40.0), (190.0, 60.0)].into_iter());
        assert!(crowded.left == 0.0 && crowded.bottom < 50.0);
        let high = freest(PLOT, 5.0, 40.0, std::iter::empty);
        assert!(high.top > 5.0, "below a line at the top");
    }
}
