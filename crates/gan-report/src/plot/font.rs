//! The embedded font: how wide a text is, which pixels it covers, and how an SVG carries it along.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::sync::LazyLock;

/// A subset of DejaVu Sans; see `fonts/README.md`.
const BYTES: &[u8] = include_bytes!("../../fonts/DejaVuSans-subset.ttf");

/// Font family of SVG text: the embedded font, or a similar one if a viewer ignores embedded fonts.
pub(super) const FAMILY: &str = "gan-report, DejaVu Sans, Verdana, sans-serif";

/// Height of a lower-case x, as a fraction of the font size.
const X_HEIGHT: f32 = 0.547;

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(BYTES).expect("the embedded font is a font"));

/// A font size is the side of the em square, in pixels; `ab_glyph` counts the height of a line instead.
fn scale(em: f32) -> PxScale {
    let units = FONT.units_per_em().unwrap_or(2048.0);
    PxScale::from(em * FONT.height_unscaled() / units)
}

/// Returns the width of `text` in pixels.
pub(crate) fn width(text: &str, em: f64) -> f64 {
    let font = FONT.as_scaled(scale(em as f32));
    text.chars().map(|c| f64::from(font.h_advance(font.glyph_id(c)))).sum()
}

/// Calls `draw(x, y, coverage)` for every pixel that `text` touches. It starts at x = 0; y = 0 is half the height of an
/// x above the base line, where text looks centered.
pub(crate) fn cover(text: &str, em: f32, mut draw: impl FnMut(i32, i32, f32)) {
    let scale = scale(em);
    let font = FONT.as_scaled(scale);
    let mut at = point(0.0, em * X_HEIGHT / 2.0);
    for id in text.chars().map(|c| font.glyph_id(c)) {
        if let Some(outline) = FONT.outline_glyph(Glyph { id, scale, position: at }) {
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, coverage| draw(x as i32 + corner.x as i32, y as i32 + corner.y as i32, coverage));
        }
        at.x += font.h_advance(id);
    }
}

/// Returns a `<style>` element that defines the embedded font for one SVG.
pub(super) fn svg_style() -> String {
    let data = STANDARD.encode(BYTES);
    format!(
        "<style>@font-face{{font-family:gan-report;src:url(data:font/ttf;base64,{data})format(\"truetype\")}}</style>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_character_that_labels_use() {
        for c in (' '..='~').chain("–—×±°µμσλε−≈≤≥∞→…²³⁻₀₁αβγΔΣ".chars()) {
            assert_ne!(FONT.glyph_id(c).0, 0, "no glyph for {c:?}");
        }
    }

    #[test]
    fn text_is_measured_and_drawn_alike() {
        let (mut left, mut right, mut top, mut bottom) = (i32::MAX, i32::MIN, i32::MAX, i32::MIN);
        cover("xxxx", 100.0, |x, y, _| {
            (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
        });
        // DejaVu's x is 1212/2048 em wide.
        assert!((width("xxxx", 100.0) - 4.0 * 59.18).abs() < 0.5);
        assert!(left >= 0 && right <= 237 && right > 220, "{left} {right}");
        assert!((top + bottom).abs() <= 2, "an x is centred on 0: {top} {bottom}");
    }
}
