//! Pictures of the plane: clouds of points, heat maps, meshes and marks over two axes, one panel or several side by side.

use super::axis::Axis;
use super::drawing::{Align, Area, Drawing, FRAME, GRID, INK, Point, Rgb, SMALL, Shape, Type, stroke};
use super::{font, raster};
use crate::{Error, Picture};

/// Meaning of a color, the same in every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Real samples, and where D classifies samples as real: blue.
    Real,
    /// Generated samples, and where D classifies samples as generated: orange.
    Generated,
    /// Neither: gray.
    Neutral,
}

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// Name in the legend; empty for none.
    pub name: String,
    /// Points `(x, y)`; those outside of the axes are counted below the picture, and those that are not finite are
    /// skipped.
    pub points: Vec<[f32; 2]>,
    /// Color of the points.
    pub ink: Ink,
    /// Opacity of each dot, 0 to 1.
    pub opacity: f64,
}

/// Values over the whole range of the axes, `[rows, columns]`, the first row at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// Values from 0 (generated) to 1 (real); 0.5 is white.
    pub values: Vec<f32>,
    /// Number of values per row.
    pub columns: usize,
}

/// A line through points.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `(x, y)`
    pub points: Vec<[f32; 2]>,
    /// Color of the line.
    pub ink: Ink,
}

/// A marked place, such as a centroid, and its previous place.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Place of the mark.
    pub at: [f32; 2],
    /// Previous place, from which an arrow leads to the mark.
    pub from: Option<[f32; 2]>,
    /// Color of the mark.
    pub ink: Ink,
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plane {
    /// Title above the panel.
    pub title: String,
    /// `[low, high]` of the horizontal axis.
    pub x: [f64; 2],
    /// `[low, high]` of the vertical axis.
    pub y: [f64; 2],
    /// Heat map, the lowest layer.
    pub heat: Option<Heat>,
    /// Lines above the heat map.
    pub lines: Vec<Line>,
    /// Clouds above the lines, in the order of the legend.
    pub clouds: Vec<Cloud>,
    /// Marks on top.
    pub marks: Vec<Mark>,
}

/// Margin around a panel's axes: left, above, right, below.
const MARGIN: [f64; 4] = [58.0, 58.0, 16.0, 34.0];
const TITLE: Type = Type { size: 14.0, colour: INK };
const LEGEND: Type = Type { size: 12.0, colour: INK };
const DOT: f64 = 2.0;
const MARK: f64 = 6.0;

/// Draws the panels side by side, each `[width, height]` pixels, in RGB on white.
///
/// # Errors
/// [`Error::Shape`] without panels, for an invalid range, or a heat map with incomplete rows.
pub fn panels(planes: &[Plane], [width, height]: [u32; 2]) -> Result<Picture, Error> {
    planes.iter().try_for_each(Plane::check)?;
    if planes.is_empty() || width < 160 || height < 160 {
        return Err(Error::Shape(format!(
            "{} panels of {width} × {height} pixels cannot be drawn; at least one, of 160 × 160",
            planes.len()
        )));
    }
    let mut drawing = Drawing::default();
    for (index, plane) in planes.iter().enumerate() {
        let [left, above, right, below] = MARGIN;
        let start = index as f64 * f64::from(width);
        let area = Area {
            left: start + left,
            top: above,
            right: start + f64::from(width) - right,
            bottom: f64::from(height) - below,
        };
        Panel { plane, area, x: Axis::exact(plane.x, 6), y: Axis::exact(plane.y, 6) }.draw(&mut drawing);
    }
    raster::picture(&drawing.0, [planes.len() as u32 * width, height])
}

/// Returns `[low, high]` around all finite `values`, with a margin of a twentieth; −1 to 1 if there are none.
pub fn span(values: impl Iterator<Item = f32>) -> [f64; 2] {
    let ends = values
        .filter(|v| v.is_finite())
        .map(f64::from)
        .fold(None, |ends: Option<[f64; 2]>, v| Some(ends.map_or([v, v], |[low, high]| [low.min(v), high.max(v)])));
    let axis = Axis::with_room(ends.unwrap_or([-1.0, 1.0]), 5);
    [axis.low, axis.high]
}

impl Ink {
    fn colour(self) -> Rgb {
        match self {
            Self::Real => [0, 114, 178],
            Self::Generated => [213, 94, 0],
            Self::Neutral => [110; 3],
        }
    }
}

impl Plane {
    fn check(&self) -> Result<(), Error> {
        for [low, high] in [self.x, self.y] {
            if !(low.is_finite() && high.is_finite() && low < high) {
                return Err(Error::Shape(format!("an axis from {low} to {high} is none")));
            }
        }
        match &self.heat {
            Some(heat) if heat.columns == 0 || !heat.values.len().is_multiple_of(heat.columns) => {
                let (found, columns) = (heat.values.len(), heat.columns);
                Err(Error::Shape(format!("a heat map of {found} values has no whole rows of {columns}")))
            }
            _ => Ok(()),
        }
    }
}

struct Panel<'a> {
    plane: &'a Plane,
    area: Area,
    x: Axis,
    y: Axis,
}

impl Panel<'_> {
    fn draw(&self, drawing: &mut Drawing) {
        self.heat(drawing);
        self.axes(drawing);
        self.lines(drawing);
        let outside = self.clouds(drawing);
        self.plane.marks.iter().for_each(|mark| self.mark(drawing, mark));
        self.heading(drawing);
        if outside > 0 {
            let words = format!("{outside} outside of the axes");
            drawing.text(&words, (self.area.right - 6.0, self.area.top + 10.0), Align::Right, SMALL);
        }
    }

    /// Converts data to pixels, wherever that is.
    fn place(&self, [x, y]: [f32; 2]) -> Point {
        let Area { left, top, right, bottom } = self.area;
        let across = self.x.part(f64::from(x));
        let up = self.y.part(f64::from(y));
        (left + across * (right - left), bottom - up * (bottom - top))
    }

    fn holds(&self, [x, y]: [f32; 2]) -> bool {
        let within = |v: f32, axis: &Axis| (axis.low..=axis.high).contains(&f64::from(v));
        within(x, &self.x) && within(y, &self.y)
    }

    fn heat(&self, drawing: &mut Drawing) {
        let Some(heat) = &self.plane.heat else { return };
        let Area { left, top, right, bottom } = self.area;
        let wide = (right - left) / heat.columns as f64;
        let high = (bottom - top) / (heat.values.len() / heat.columns) as f64;
        for (at, &value) in heat.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let left = left + (at % heat.columns) as f64 * wide;
            let top = bottom - ((at / heat.columns) as f64 + 1.0) * high;
            let cell = Area { left, top, right: left + wide, bottom: top + high };
            drawing.0.push(Shape::Area(cell, tint(value), 1.0));
        }
    }

    fn axes(&self, drawing: &mut Drawing) {
        let Area { left, top, right, bottom } = self.area;
        let has_grid = self.plane.heat.is_none();
        for (value, label) in &self.y.ticks {
            let y = bottom - self.y.part(*value) * (bottom - top);
            if has_grid {
                drawing.line(&[(left, y), (right, y)], stroke(GRID, 1.0));
            }
            drawing.text(label, (left - 8.0, y), Align::Right, SMALL);
        }
        for (value, label) in &self.x.ticks {
            let x = left + self.x.part(*value) * (right - left);
            if has_grid {
                drawing.line(&[(x, top), (x, bottom)], stroke(GRID, 1.0));
            }
            drawing.text(label, (x, bottom + 14.0), Align::Centre, SMALL);
        }
        let frame = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)];
        drawing.line(&frame, stroke(FRAME, 1.0));
    }

    /// Draws lines in pieces: a piece touches few pixels, a whole line's rectangle all of them.
    fn lines(&self, drawing: &mut Drawing) {
        for line in &self.plane.lines {
            for ends in line.points.windows(2).filter(|ends| ends.iter().all(|end| self.holds(*end))) {
                drawing.line(&[self.place(ends[0]), self.place(ends[1])], stroke(line.ink.colour(), 1.2));
            }
        }
    }

    /// Draws the dots, and counts those outside of the axes.
    fn clouds(&self, drawing: &mut Drawing) -> usize {
        let mut outside = 0;
        for cloud in &self.plane.clouds {
            for point in cloud.points.iter().filter(|point| point.iter().all(|v| !v.is_nan())) {
                if self.holds(*point) {
                    drawing.dot(self.place(*point), DOT, cloud.ink.colour(), cloud.opacity);
                } else {
                    outside += 1;
                }
            }
        }
        outside
    }

    /// Draws a disc with a white rim, and a line from the previous place.
    fn mark(&self, drawing: &mut Drawing, mark: &Mark) {
        if !self.holds(mark.at) {
            return;
        }
        let at = self.place(mark.at);
        let colour = mark.ink.colour();
        if let Some(from) = mark.from.filter(|from| self.holds(*from)).map(|from| self.place(from)) {
            drawing.dot(from, 3.0, colour, 1.0);
            if (at.0 - from.0).hypot(at.1 - from.1) > 1.0 {
                drawing.line(&[from, at], stroke(colour, 2.0));
            }
        }
        drawing.dot(at, MARK + 1.5, [255; 3], 1.0);
        drawing.dot(at, MARK, colour, 1.0);
    }

    /// Draws the title, and below it the names of the clouds.
    fn heading(&self, drawing: &mut Drawing) {
        let Area { left, top, .. } = self.area;
        drawing.text(&self.plane.title, (left, top - 40.0), Align::Left, TITLE);
        let mut x = left;
        for cloud in self.plane.clouds.iter().filter(|cloud| !cloud.name.is_empty()) {
            drawing.dot((x + 4.0, top - 16.0), 4.0, cloud.ink.colour(), 1.0);
            drawing.text(&cloud.name, (x + 14.0, top - 16.0), Align::Left, LEGEND);
            x += 14.0 + font::width(&cloud.name, LEGEND.size) + 18.0;
        }
    }
}

/// Returns white at 0.5, towards blue at 1 and orange at 0, light enough for dots on top.
fn tint(value: f32) -> Rgb {
    let colour = if value >= 0.5 { Ink::Real.colour() } else { Ink::Generated.colour() };
    let strength = f64::from((value - 0.5).abs().min(0.5)) * 2.0 * 0.55;
    colour.map(|c| (255.0 + (f64::from(c) - 255.0) * strength).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane() -> Plane {
        Plane { title: "t".into(), x: [0.0, 1.0], y: [0.0, 1.0], ..Plane::default() }
    }

    /// Returns the pixel of a place in a panel of 300 × 300.
    fn pixel(picture: &Picture, x: f64, y: f64) -> [u8; 3] {
        let [left, above, right, below] = MARGIN;
        let column = left + x * (300.0 - left - right);
        let row = 300.0 - below - y * (300.0 - above - below);
        picture.pixel(column as usize, row as usize).unwrap().try_into().unwrap()
    }

    #[test]
    fn dots_are_drawn_at_their_points() {
        let cloud = |x, y, ink| Cloud { name: String::new(), points: vec![[x, y]], ink, opacity: 1.0 };
        let clouds =
            vec![cloud(0.25, 0.75, Ink::Real), cloud(0.7, 0.3, Ink::Generated), cloud(f32::NAN, 0.5, Ink::Real)];
        let picture = panels(&[Plane { clouds, ..plane() }], [300, 300]).unwrap();
        assert_eq!(pixel(&picture, 0.25, 0.75), [0, 114, 178]);
        assert_eq!(pixel(&picture, 0.7, 0.3), [213, 94, 0]);
        assert_eq!(pixel(&picture, 0.1, 0.1), [255; 3]);
    }

    #[test]
    fn heat_is_blue_where_real_and_orange_where_not() {
        let heat = Some(Heat { values: vec![1.0, 0.5, 0.0, f32::NAN], columns: 2 });
        let picture = panels(&[Plane { heat, ..plane() }], [300, 300]).unwrap();
        let [red, _, blue] = pixel(&picture, 0.25, 0.25);
        assert!(blue > red + 50);
        assert_eq!(pixel(&picture, 0.75, 0.25), [255; 3]);
        let [red, _, blue] = pixel(&picture, 0.25, 0.75);
        assert!(red > blue + 50);
        assert_eq!(pixel(&picture, 0.75, 0.75), [255; 3]);
    }

    #[test]
    fn panels_lie_side_by_side() {
        let picture = panels(&[plane(), plane(), plane()], [200, 180]).unwrap();
        assert_eq!((picture.width(), picture.height()), (600, 180));
        assert!(panels(&[], [200, 200]).is_err() && panels(&[plane()], [20, 200]).is_err());
        assert!(panels(&[Plane { x: [1.0, 1.0], ..plane() }], [200, 200]).is_err());
        let heat = Some(Heat { values: vec![0.0; 3], columns: 2 });
        assert!(panels(&[Plane { heat, ..plane() }], [200, 200]).unwrap_err().to_string().contains("rows of 2"));
    }

    #[test]
    fn a_span_has_a_margin_and_ignores_non_finite_values() {
        assert_eq!(span([0.0, 10.0, f32::NAN, f32::INFINITY].into_iter()), [-0.5, 10.5]);
        assert_eq!(span(std::iter::empty()), [-1.1, 1.1]);
    }
}
