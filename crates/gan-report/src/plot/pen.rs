//! Drawing in fractional pixels on any plotters backend, which only has whole ones.

use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, TextStyle,
    text_anchor::{HPos, Pos, VPos},
};
use plotters_backend::{DrawingBackend, DrawingErrorKind};

use super::font;
use crate::Error;

/// A place in a figure: pixels to the right of and below its top left corner.
pub(super) type Point = (f64, f64);

/// Color, opacity and width of a line.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub colour: RGBColor,
    pub opacity: f64,
    /// In pixels.
    pub width: f64,
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

/// Size and color of text.
#[derive(Clone, Copy)]
pub(super) struct Type {
    /// In pixels an em.
    pub size: f64,
    pub colour: RGBColor,
}

/// A backend and how many of its pixels make one of ours.
pub(super) struct Pen<B> {
    backend: B,
    scale: f64,
}

impl<B: DrawingBackend> Pen<B> {
    pub(super) fn new(backend: B, scale: usize) -> Self {
        Self { backend, scale: scale as f64 }
    }

    pub(super) fn into_backend(mut self) -> Result<B, Error> {
        done(self.backend.present())?;
        Ok(self.backend)
    }

    /// Draws a line through all points; where it crosses itself it is not darker.
    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) -> Result<(), Error> {
        let corners: Vec<_> = points.iter().map(|&point| self.place(point)).collect();
        let width = (stroke.width * self.scale).round().max(1.0) as u32;
        let colour = stroke.colour.mix(stroke.opacity);
        done(self.backend.draw_path(corners, &ShapeStyle { color: colour, filled: false, stroke_width: width }))
    }

    /// Draws a filled disc.
    pub(super) fn dot(&mut self, centre: Point, radius: f64, colour: RGBColor) -> Result<(), Error> {
        self.faint_dot(centre, radius, colour, 1.0)
    }

    /// Draws a translucent filled disc.
    pub(super) fn faint_dot(&mut self, at: Point, radius: f64, colour: RGBColor, opacity: f64) -> Result<(), Error> {
        let radius = (radius * self.scale).round() as u32;
        let style = ShapeStyle { color: colour.mix(opacity), filled: true, stroke_width: 1 };
        done(self.backend.draw_circle(self.place(at), radius, &style, true))
    }

    /// Draws a filled rectangle between two opposite corners.
    pub(super) fn area(&mut self, from: Point, to: Point, colour: RGBColor, opacity: f64) -> Result<(), Error> {
        let style = ShapeStyle { color: colour.mix(opacity), filled: true, stroke_width: 1 };
        done(self.backend.draw_rect(self.place(from), self.place(to), &style, true))
    }

    /// Draws one line of text.
    pub(super) fn text(&mut self, text: &str, at: Point, align: Align, kind: Type) -> Result<(), Error> {
        let across = match align {
            Align::Left => HPos::Left,
            Align::Right => HPos::Right,
            Align::Centre | Align::Upwards => HPos::Center,
        };
        // 1.24: what plotters divides a size by to get an em.
        let size = kind.size * 1.24 * self.scale;
        let plain = FontDesc::new(FontFamily::Name(font::FAMILY), size, FontStyle::Normal);
        let turned = if matches!(align, Align::Upwards) { plain.transform(FontTransform::Rotate270) } else { plain };
        let style = TextStyle::from(turned).color(&kind.colour).pos(Pos::new(across, VPos::Center));
        done(self.backend.draw_text(text, &style, self.place(at)))
    }

    /// To the backend's pixels; far outside of any figure, but within what its integers bear.
    fn place(&self, (x, y): Point) -> (i32, i32) {
        let whole = |v: f64| (v * self.scale).round().clamp(-1e6, 1e6) as i32;
        (whole(x), whole(y))
    }
}

fn done<E: std::error::Error + Send + Sync>(result: Result<(), DrawingErrorKind<E>>) -> Result<(), Error> {
    result.map_err(|reason| Error::encode("plot", reason))
}
