//! A drawing in fractional pixels, as a list of shapes, and its SVG; `raster` paints it.

use super::font;
use crate::markup;
use std::fmt::Write;

/// Color: red, green, blue.
pub(super) type Rgb = [u8; 3];

pub(super) const INK: Rgb = [34; 3];
pub(super) const GRID: Rgb = [229; 3];
pub(super) const FRAME: Rgb = [120; 3];

/// A place: pixels to the right of and below the top left corner.
pub(super) type Point = (f64, f64);

/// A rectangle, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// Color, opacity (0 to 1) and width in pixels of a line.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub colour: Rgb,
    pub opacity: f64,
    pub width: f64,
}

/// Returns an opaque stroke.
pub(super) fn stroke(colour: Rgb, width: f64) -> Stroke {
    Stroke { colour, opacity: 1.0, width }
}

/// Alignment of text relative to its point; always centered across its direction.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
    /// Centered, reading upwards.
    Upwards,
}

/// Size in pixels per em, and color of text.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub colour: Rgb,
}

pub(super) const SMALL: Type = Type { size: 11.0, colour: [90; 3] };

pub(super) enum Shape {
    /// A line through all points; where it crosses itself it is not darker.
    Line(Vec<Point>, Stroke),
    /// A filled disc: center, radius, color, opacity.
    Dot(Point, f64, Rgb, f64),
    /// A filled rectangle with its color and opacity.
    Area(Area, Rgb, f64),
    Text(String, Point, Align, Type),
}

/// Shapes, from the lowest to the uppermost.
#[derive(Default)]
pub(super) struct Drawing(pub Vec<Shape>);

impl Drawing {
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        self.0.push(Shape::Line(points.to_vec(), stroke));
    }

    pub(super) fn dot(&mut self, centre: Point, radius: f64, colour: Rgb, opacity: f64) {
        self.0.push(Shape::Dot(centre, radius, colour, opacity));
    }

    pub(super) fn text(&mut self, text: &str, at: Point, align: Align, kind: Type) {
        self.0.push(Shape::Text(text.into(), at, align, kind));
    }

    /// Returns an `<svg>` element of `[width, height]` pixels, on white, with its font.
    pub(super) fn svg(&self, [width, height]: [u32; 2]) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" \
             stroke-linejoin=\"round\">\n{}<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n",
            u64::from(width) * SVG_UNITS as u64,
            u64::from(height) * SVG_UNITS as u64,
            font::svg_style()
        );
        // Writing into a String cannot fail.
        self.0.iter().for_each(|shape| write_svg(&mut out, shape).unwrap_or_default());
        out + "</svg>\n"
    }
}

/// SVG units per pixel. Whole units are shorter than fractional pixels and just as smooth.
const SVG_UNITS: f64 = 8.0;

fn write_svg(out: &mut String, shape: &Shape) -> std::fmt::Result {
    let units = |pixels: f64| (pixels * SVG_UNITS).round().max(1.0);
    match shape {
        Shape::Line(points, Stroke { colour, opacity, width }) => {
            write!(out, "<polyline fill=\"none\" opacity=\"{opacity}\" stroke=\"{}\"", hex(*colour))?;
            write!(out, " stroke-width=\"{}\" points=\"", units(*width))?;
            for [x, y] in points.iter().map(|point| scaled(*point, SVG_UNITS)) {
                write!(out, "{x},{y} ")?;
            }
            writeln!(out, "\"/>")
        }
        Shape::Dot(centre, radius, colour, opacity) => {
            let [x, y] = scaled(*centre, SVG_UNITS);
            let fill = hex(*colour);
            writeln!(
                out,
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"{}\" opacity=\"{opacity}\" fill=\"{fill}\"/>",
                units(*radius)
            )
        }
        Shape::Area(area, colour, opacity) => {
            let [left, top] = scaled((area.left, area.top), SVG_UNITS);
            let [right, bottom] = scaled((area.right, area.bottom), SVG_UNITS);
            let fill = hex(*colour);
            write!(out, "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\"", right - left, bottom - top)?;
            writeln!(out, " opacity=\"{opacity}\" fill=\"{fill}\"/>")
        }
        Shape::Text(text, at, align, kind) => {
            let [x, y] = scaled(*at, SVG_UNITS);
            let (anchor, turned) = match align {
                Align::Left => ("start", String::new()),
                Align::Right => ("end", String::new()),
                Align::Centre => ("middle", String::new()),
                Align::Upwards => ("middle", format!(" transform=\"rotate(270, {x}, {y})\"")),
            };
            write!(
                out,
                "<text x=\"{x}\" y=\"{y}\" dy=\"0.5ex\" text-anchor=\"{anchor}\" font-family=\"{}\"",
                font::FAMILY
            )?;
            let size = kind.size * SVG_UNITS;
            writeln!(
                out,
                " font-size=\"{size}\" fill=\"{}\"{turned}>\n{}\n</text>",
                hex(kind.colour),
                markup::text(text)
            )
        }
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Returns a place in whole units, `scale` to a pixel. Data may lie far outside of the figure.
pub(super) fn scaled((x, y): Point, scale: f64) -> [i32; 2] {
    [x, y].map(|v| (v * scale).round().clamp(-1e6, 1e6) as i32)
}
