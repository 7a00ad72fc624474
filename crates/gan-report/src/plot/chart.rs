//! One chart on a rectangle of the figure: title and legend above, axes, guides, curves.

use plotters::style::RGBColor;
use plotters_backend::DrawingBackend;

use super::{
    Chart, Curve,
    axis::Axis,
    font, guide,
    pen::{Align, Pen, Point, Stroke, Type},
    series,
};
use crate::Error;

/// Okabe and Ito's colors, which color-blind readers can distinguish, without the yellow, which fades on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
const MUTED: RGBColor = RGBColor(90, 90, 90);
pub(super) const LINES: RGBColor = RGBColor(229, 229, 229);
pub(super) const FRAME: RGBColor = RGBColor(120, 120, 120);

const TITLE: Type = Type { size: 15.0, colour: INK };
const LABEL: Type = Type { size: 12.0, colour: INK };
pub(super) const SMALL: Type = Type { size: 11.0, colour: MUTED };

/// Height of the title's row, and of each row of the legend below it.
const TITLE_ROW: f64 = 30.0;
const LEGEND_ROW: f64 = 20.0;
/// Length of the line before a name in the legend, and the space after it.
const SWATCH: f64 = 20.0;
const SPACE: f64 = 6.0;

/// A rectangle of the figure, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Where the data lies and how it maps there.
pub(super) struct Plot {
    pub area: Area,
    pub x: Axis,
    pub y: Axis,
}

/// A curve, ready to draw: the faint line of all points below, the trend above, by uninterrupted pieces.
pub(super) struct Drawn {
    colour: RGBColor,
    faint: Vec<Vec<Point>>,
    pub trend: Vec<Vec<Point>>,
}

/// A chart whose places are settled: everything but the drawing itself.
pub(super) struct Layout<'a> {
    chart: &'a Chart,
    area: Area,
    plot: Plot,
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
        let plot = Plot { area: inner(chart, area, &y, legend.len()), x: Axis::from_zero(span, columns / 90), y };
        Self { chart, area, plot, curves, legend }
    }

    /// Returns the position of the y axis.
    pub(super) fn left(&self) -> f64 {
        self.plot.area.left
    }

    /// Moves the y axis to the right, in line with that of other charts.
    pub(super) fn align(&mut self, left: f64) {
        self.plot.area.left = left;
    }

    pub(super) fn draw<B: DrawingBackend>(&self, pen: &mut Pen<B>) -> Result<(), Error> {
        let Self { chart, area, plot, curves, legend } = self;
        heading(pen, chart, *area, legend, plot.area)?;
        axes(pen, chart, plot)?;
        guide::lines(pen, &chart.guides, plot)?;
        curves.iter().try_for_each(|curve| faint(pen, curve, plot))?;
        curves.iter().try_for_each(|curve| trend(pen, curve, plot))?;
        guide::labels(pen, &chart.guides, plot, curves)?;
        if curves.iter().all(|curve| curve.trend.is_empty()) {
            let Area { left, top, right, bottom } = plot.area;
            pen.text("no data yet", ((left + right) / 2.0, (top + bottom) / 2.0), Align::Centre, SMALL)?;
        }
        Ok(())
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
    if let Some((low, high)) = chart.y_range.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        return Axis::exact([low, high], most);
    }
    let bulk = pieces.iter().filter_map(|curve| series::central_span(&curve.concat())).flatten();
    let trends = drawn.iter().flat_map(|curve| curve.trend.iter().flatten().map(|point| point.1));
    let guides = chart.guides.iter().map(|guide| guide.value).filter(|value| value.is_finite());
    let shown = bulk.chain(trends).chain(guides).map(|y| [y, y]).reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
    shown.map_or_else(|| Axis::exact([0.0, 1.0], most), |span| Axis::with_room(span, most))
}

/// Returns what remains after the title, the labels and the legend.
fn inner(chart: &Chart, area: Area, y: &Axis, legend_rows: usize) -> Area {
    let widest = y.ticks.iter().map(|(_, label)| font::width(label, SMALL.size)).fold(0.0, f64::max);
    let beside = |text: &str| if text.is_empty() { 0.0 } else { LABEL.size + 2.0 * SPACE };
    // The first row of the legend shares the title's.
    let below_title = legend_rows.saturating_sub(1) as f64 * LEGEND_ROW;
    Area {
        left: area.left + 12.0 + beside(&chart.y_label) + widest + 8.0,
        top: area.top + TITLE_ROW + below_title,
        right: area.right - 24.0,
        bottom: area.bottom - 24.0 - beside(&chart.x_label),
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

/// Draws the title on the left, and the legend on the right of it and below, ending where the plot ends.
fn heading<B: DrawingBackend>(
    pen: &mut Pen<B>,
    chart: &Chart,
    area: Area,
    rows: &[Vec<usize>],
    plot: Area,
) -> Result<(), Error> {
    let middle = area.top + TITLE_ROW / 2.0;
    pen.text(&chart.title, (plot.left, middle), Align::Left, TITLE)?;
    for (row, entries) in rows.iter().enumerate() {
        let width: f64 = entries.iter().map(|&index| entry_width(&chart.curves[index])).sum();
        let beside_title = row == 0;
        let mut x = if beside_title { plot.right + 3.0 * SPACE - width } else { plot.left };
        for &index in entries {
            let curve = &chart.curves[index];
            let y = middle + row as f64 * LEGEND_ROW;
            let stroke = Stroke { colour: COLOURS[index % COLOURS.len()], opacity: 1.0, width: 2.5 };
            pen.line(&[(x, y), (x + SWATCH, y)], stroke)?;
            pen.text(&curve.name, (x + SWATCH + SPACE, y), Align::Left, LABEL)?;
            x += entry_width(curve);
        }
    }
    Ok(())
}

/// Draws grid lines, ticks, tick labels, and the names of both axes.
fn axes<B: DrawingBackend>(pen: &mut Pen<B>, chart: &Chart, plot: &Plot) -> Result<(), Error> {
    let Area { left, top, right, bottom } = plot.area;
    let thin = |colour| Stroke { colour, opacity: 1.0, width: 1.0 };
    for (value, label) in &plot.y.ticks {
        let (_, y) = plot.place((plot.x.low, *value));
        pen.line(&[(left, y), (right, y)], thin(LINES))?;
        pen.text(label, (left - 8.0, y), Align::Right, SMALL)?;
    }
    for (value, label) in &plot.x.ticks {
        let (x, _) = plot.place((*value, plot.y.low));
        pen.line(&[(x, bottom), (x, bottom + 4.0)], thin(FRAME))?;
        pen.text(label, (x, bottom + 14.0), Align::Centre, SMALL)?;
    }
    pen.line(&[(left, top), (left, bottom), (right, bottom)], thin(FRAME))?;
    if !chart.x_label.is_empty() {
        pen.text(&chart.x_label, ((left + right) / 2.0, bottom + 34.0), Align::Centre, LABEL)?;
    }
    if !chart.y_label.is_empty() {
        pen.text(&chart.y_label, (16.0, (top + bottom) / 2.0), Align::Upwards, LABEL)?;
    }
    Ok(())
}

fn faint<B: DrawingBackend>(pen: &mut Pen<B>, curve: &Drawn, plot: &Plot) -> Result<(), Error> {
    // A curve too short for smoothing is its own trend.
    let noisy = curve.faint.iter().zip(&curve.trend).filter(|(all, trend)| all != trend);
    let stroke = Stroke { colour: curve.colour, opacity: 0.25, width: 1.0 };
    noisy.map(|(all, _)| plot.places(all)).try_for_each(|line| pen.line(&line, stroke))
}

fn trend<B: DrawingBackend>(pen: &mut Pen<B>, curve: &Drawn, plot: &Plot) -> Result<(), Error> {
    for piece in &curve.trend {
        match plot.places(piece).as_slice() {
            [single] => pen.dot(*single, 2.5, curve.colour)?,
            line => pen.line(line, Stroke { colour: curve.colour, opacity: 1.0, width: 2.0 })?,
        }
    }
    Ok(())
}

impl Plot {
    /// Converts data to pixels; what is above or below the axis is moved to its end.
    pub(super) fn place(&self, (x, y): Point) -> Point {
        let Area { left, top, right, bottom } = self.area;
        let up = self.y.part(y).clamp(0.0, 1.0);
        (left + self.x.part(x) * (right - left), bottom - up * (bottom - top))
    }

    fn places(&self, points: &[Point]) -> Vec<Point> {
        points.iter().map(|&point| self.place(point)).collect()
    }

    /// Returns the pixels from the top of the figure to a value on the y axis, if it is on the axis.
    pub(super) fn height_of(&self, value: f64) -> Option<f64> {
        (self.y.low..=self.y.high).contains(&value).then(|| self.place((self.x.low, value)).1)
    }
}
