//! One chart on a rectangle of the figure: title and legend above, axes, guides, curves.

use super::axis::Axis;
use super::drawing::{Align, Area, Drawing, FRAME, GRID, INK, Point, Rgb, SMALL, Stroke, Type, stroke};
use super::{font, series};
use crate::charts::{Chart, Curve};

/// Okabe and Ito's colors, which color-blind readers can distinguish, without the yellow, which fades on white.
const COLOURS: [Rgb; 7] =
    [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233], [0, 0, 0]];

const TITLE: Type = Type { size: 15.0, colour: INK };
const LABEL: Type = Type { size: 12.0, colour: INK };

/// Height of the title's row, and of each row of the legend below it.
const TITLE_ROW: f64 = 30.0;
const LEGEND_ROW: f64 = 20.0;
/// Length of the line before a name in the legend, and the space after it.
const SWATCH: f64 = 20.0;
const SPACE: f64 = 6.0;
/// Label of the horizontal axis.
const STEP: &str = "step";

/// A curve, ready to draw: the faint line of all points below, the trend above, by uninterrupted pieces.
struct Drawn {
    colour: Rgb,
    faint: Vec<Vec<Point>>,
    trend: Vec<Vec<Point>>,
}

/// A chart with the places of its parts.
pub(super) struct Layout<'a> {
    chart: &'a Chart,
    area: Area,
    /// Where the data lies.
    pub plot: Area,
    x: Axis,
    y: Axis,
    curves: Vec<Drawn>,
    legend: Vec<Vec<usize>>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(chart: &'a Chart, area: Area) -> Self {
        let pieces: Vec<_> = chart.curves.iter().map(|curve| series::pieces(&curve.points)).collect();
        let columns = (area.right - area.left).max(1.0) as usize;
        let span = x_span(&pieces);
        let curves: Vec<Drawn> =
            pieces.iter().enumerate().map(|(at, pieces)| prepare(at, pieces, span, columns)).collect();
        let y = y_axis(chart, &pieces, &curves, area);
        let legend = legend_rows(chart, area);
        let plot = inner(area, &y, legend.len());
        Self { chart, area, plot, x: Axis::from_zero(span, columns / 90), y, curves, legend }
    }

    pub(super) fn draw(&self, drawing: &mut Drawing) {
        self.heading(drawing);
        self.axes(drawing);
        self.guides(drawing);
        self.faint(drawing);
        self.trends(drawing);
        self.guide_labels(drawing);
        if self.curves.iter().all(|curve| curve.trend.is_empty()) {
            let Area { left, top, right, bottom } = self.plot;
            drawing.text("no data yet", ((left + right) / 2.0, (top + bottom) / 2.0), Align::Centre, SMALL);
        }
    }

    /// Draws the title on the left, and the legend on the right of it and below, ending where the plot ends.
    fn heading(&self, drawing: &mut Drawing) {
        let middle = self.area.top + TITLE_ROW / 2.0;
        drawing.text(&self.chart.title, (self.plot.left, middle), Align::Left, TITLE);
        for (row, entries) in self.legend.iter().enumerate() {
            let width: f64 = entries.iter().map(|&index| entry_width(&self.chart.curves[index])).sum();
            let is_beside_title = row == 0;
            let mut x = if is_beside_title { self.plot.right + 3.0 * SPACE - width } else { self.plot.left };
            let y = middle + row as f64 * LEGEND_ROW;
            for &index in entries {
                let curve = &self.chart.curves[index];
                drawing.line(&[(x, y), (x + SWATCH, y)], stroke(COLOURS[index % COLOURS.len()], 2.5));
                drawing.text(&curve.name, (x + SWATCH + SPACE, y), Align::Left, LABEL);
                x += entry_width(curve);
            }
        }
    }

    /// Draws grid lines, ticks, tick labels, and the names of both axes.
    fn axes(&self, drawing: &mut Drawing) {
        let Area { left, top, right, bottom } = self.plot;
        for (value, label) in &self.y.ticks {
            let (_, y) = self.place((self.x.low, *value));
            drawing.line(&[(left, y), (right, y)], stroke(GRID, 1.0));
            drawing.text(label, (left - 8.0, y), Align::Right, SMALL);
        }
        for (value, label) in &self.x.ticks {
            let (x, _) = self.place((*value, self.y.low));
            drawing.line(&[(x, bottom), (x, bottom + 4.0)], stroke(FRAME, 1.0));
            drawing.text(label, (x, bottom + 14.0), Align::Centre, SMALL);
        }
        drawing.line(&[(left, top), (left, bottom), (right, bottom)], stroke(FRAME, 1.0));
        drawing.text(STEP, ((left + right) / 2.0, bottom + 34.0), Align::Centre, LABEL);
        drawing.text(&self.chart.unit, (16.0, (top + bottom) / 2.0), Align::Upwards, LABEL);
    }

    fn faint(&self, drawing: &mut Drawing) {
        for curve in &self.curves {
            // A curve too short for smoothing is its own trend.
            for (all, _) in curve.faint.iter().zip(&curve.trend).filter(|(all, trend)| all != trend) {
                drawing.line(&self.places(all), Stroke { colour: curve.colour, opacity: 0.25, width: 1.0 });
            }
        }
    }

    fn trends(&self, drawing: &mut Drawing) {
        for curve in &self.curves {
            for piece in &curve.trend {
                match self.places(piece).as_slice() {
                    [single] => drawing.dot(*single, 2.5, curve.colour, 1.0),
                    line => drawing.line(line, stroke(curve.colour, 2.0)),
                }
            }
        }
    }

    /// Draws dashed lines at the guides.
    fn guides(&self, drawing: &mut Drawing) {
        const DASH: f64 = 6.0;
        const PERIOD: f64 = 10.0;
        let Area { left, right, .. } = self.plot;
        for y in self.chart.guides.iter().filter_map(|(value, _)| self.height_of(*value)) {
            for start in (0..=((right - left) / PERIOD) as usize).map(|dash| left + dash as f64 * PERIOD) {
                drawing.line(&[(start, y), ((start + DASH).min(right), y)], stroke(FRAME, 1.0));
            }
        }
    }

    /// Draws the labels of the guides, each on a veil that keeps it legible over curves.
    fn guide_labels(&self, drawing: &mut Drawing) {
        let points = || self.curves.iter().flat_map(|curve| &curve.trend).flatten().map(|&point| self.place(point));
        for (value, label) in &self.chart.guides {
            let Some(y) = self.height_of(*value) else { continue };
            let veil = freest(self.plot, y, font::width(label, SMALL.size), points);
            drawing.0.push(super::drawing::Shape::Area(veil, [255; 3], 0.8));
            let middle = ((veil.left + veil.right) / 2.0, (veil.top + veil.bottom) / 2.0);
            drawing.text(label, middle, Align::Centre, SMALL);
        }
    }

    /// Converts data to pixels; what is above or below the axis is moved to its end.
    fn place(&self, (x, y): Point) -> Point {
        let Area { left, top, right, bottom } = self.plot;
        let up = self.y.part(y).clamp(0.0, 1.0);
        (left + self.x.part(x) * (right - left), bottom - up * (bottom - top))
    }

    fn places(&self, points: &[Point]) -> Vec<Point> {
        points.iter().map(|&point| self.place(point)).collect()
    }

    /// Returns the pixels from the top of the figure to a value on the y axis, if it is on the axis.
    fn height_of(&self, value: f64) -> Option<f64> {
        (self.y.low..=self.y.high).contains(&value).then(|| self.place((self.x.low, value)).1)
    }
}

fn prepare(index: usize, pieces: &[Vec<Point>], span: [f64; 2], columns: usize) -> Drawn {
    let each = |f: fn(&[Point], [f64; 2], usize) -> Vec<Point>| pieces.iter().map(|p| f(p, span, columns)).collect();
    Drawn { colour: COLOURS[index % COLOURS.len()], faint: each(series::envelope), trend: each(series::trend) }
}

/// Returns the range from the first to the last point of any curve; 0 to 1 without points.
fn x_span(curves: &[Vec<Vec<Point>>]) -> [f64; 2] {
    let mut xs = curves.iter().flatten().flatten().map(|point| point.0);
    let Some(first) = xs.next() else { return [0.0, 1.0] };
    xs.fold([first, first], |[low, high], x| [low.min(x), high.max(x)])
}

/// Returns the given range, or one that contains the bulk of the points, all trends and the guides.
fn y_axis(chart: &Chart, pieces: &[Vec<Vec<Point>>], drawn: &[Drawn], area: Area) -> Axis {
    let most = ((area.bottom - area.top) / 40.0).clamp(2.0, 10.0) as usize;
    if let Some(range) = chart.y_range {
        return Axis::exact(range, most);
    }
    let bulk = pieces.iter().filter_map(|curve| series::central_span(&curve.concat())).flatten();
    let trends = drawn.iter().flat_map(|curve| curve.trend.iter().flatten().map(|point| point.1));
    let guides = chart.guides.iter().map(|(value, _)| *value);
    let shown = bulk.chain(trends).chain(guides).map(|y| [y, y]).reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
    shown.map_or_else(|| Axis::exact([0.0, 1.0], most), |span| Axis::with_room(span, most))
}

/// Returns what remains after the title, the labels and the legend.
fn inner(area: Area, y: &Axis, legend_rows: usize) -> Area {
    let widest = y.ticks.iter().map(|(_, label)| font::width(label, SMALL.size)).fold(0.0, f64::max);
    let label = LABEL.size + 2.0 * SPACE;
    // The first row of the legend shares the title's.
    let below_title = legend_rows.saturating_sub(1) as f64 * LEGEND_ROW;
    Area {
        left: area.left + 12.0 + label + widest + 8.0,
        top: area.top + TITLE_ROW + below_title,
        right: area.right - 24.0,
        bottom: area.bottom - 24.0 - label,
    }
}

/// Divides the named curves into rows, each no wider than the chart. The first row is beside the title and may be
/// empty.
fn legend_rows(chart: &Chart, area: Area) -> Vec<Vec<usize>> {
    let room = area.right - area.left - 60.0;
    let mut rows = vec![Vec::new()];
    let mut left = room - font::width(&chart.title, TITLE.size) - 4.0 * SPACE;
    for (index, curve) in chart.curves.iter().enumerate().filter(|(_, curve)| !curve.name.is_empty()) {
        let width = entry_width(curve);
        if width > left {
            rows.push(Vec::new());
            left = room;
        }
        left -= width;
        if let Some(row) = rows.last_mut() {
            row.push(index);
        }
    }
    // An entry on a row of its own below the title looks lost while others stand beside the title: all move down.
    if rows.len() == 2 {
        let all: Vec<usize> = rows.concat();
        if all.iter().map(|&index| entry_width(&chart.curves[index])).sum::<f64>() <= room {
            rows = vec![Vec::new(), all];
        }
    }
    rows
}

fn entry_width(curve: &Curve) -> f64 {
    SWATCH + SPACE + font::width(&curve.name, LABEL.size) + 3.0 * SPACE
}

/// Returns the place of a guide's label: above or below the line, at its right or left end, wherever in the plot are the fewest points.
fn freest<I: Iterator<Item = Point>>(plot: Area, y: f64, width: f64, points: impl Fn() -> I) -> Area {
    /// Half the height of a label, and its distance from the end.
    const HALF: f64 = 7.0;
    const OFF: f64 = 4.0;
    let right = plot.right - OFF - width / 2.0;
    let left = plot.left + OFF + width / 2.0;
    let above = y - HALF - 2.0;
    let below = y + HALF + 2.0;
    let around = |(x, y): Point| Area {
        left: x - width / 2.0 - OFF,
        top: y - HALF,
        right: x + width / 2.0 + OFF,
        bottom: y + HALF,
    };
    let places = [(right, above), (right, below), (left, above), (left, below)].map(around);
    let inside = |place: &Area| place.top >= plot.top && place.bottom <= plot.bottom;
    let holds = |a: &Area, (x, y): Point| (a.left..=a.right).contains(&x) && (a.top..=a.bottom).contains(&y);
    let covered = |place: &Area| points().filter(|&point| holds(place, point)).count();
    places.into_iter().filter(inside).min_by_key(covered).unwrap_or(places[0])
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
