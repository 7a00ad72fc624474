//! Sheets of pictures with captions, which say how to make each tile again, or what a row or column is.

use crate::grid::{BACKGROUND, GAP};
use crate::picture::checked_bytes;
use crate::plot::font;
use crate::{Colour, Error, Picture};

/// Gray of the text: light, on the dark gap.
const INK: u8 = 224;
/// Font size, and height of a line of text, in pixels.
const EM: f64 = 11.0;
const LINE: usize = 15;
/// Room between neighboring captions in pixels.
const ROOM: usize = 6;

/// A picture on a sheet.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The picture.
    pub picture: Picture,
    /// Text above it; empty for none.
    pub caption: String,
}

/// Returns a sheet of tiles, row by row, with the gap and background of [`grid`](crate::grid()). Cells have the size of the largest picture
/// and the widest caption. A row without captions has no room for them.
///
/// # Errors
/// [`Error::Shape`] for no tiles, no columns, or a sheet over 1 GiB.
pub fn tiles(tiles: &[Tile], columns: usize) -> Result<Picture, Error> {
    if tiles.is_empty() || columns == 0 {
        return Err(Error::Shape("a sheet needs at least one tile and one column".into()));
    }
    let largest = |side: fn(&Tile) -> usize| tiles.iter().map(side).max().unwrap_or(0);
    let width = largest(|tile| tile.picture.width()).max(largest(|tile| caption_width(&tile.caption)));
    let height = largest(|tile| tile.picture.height());
    let line = |row: &[Tile]| if row.iter().any(|tile| !tile.caption.is_empty()) { LINE } else { 0 };
    let lines: usize = tiles.chunks(columns).map(line).sum();
    let rows = tiles.len().div_ceil(columns);
    let size = [columns * (width + GAP) + GAP, lines + rows * (height + GAP) + GAP];
    let colour = Colour::common(tiles.iter().map(|tile| &tile.picture));
    checked_bytes(colour, size)?;
    let mut sheet = Picture::filled(colour, size, BACKGROUND)?;
    let mut top = GAP;
    for row in tiles.chunks(columns) {
        let line = line(row);
        for (column, tile) in row.iter().enumerate() {
            let left = GAP + column * (width + GAP);
            let margin = |inner: usize| left + (width - inner) / 2;
            let picture = tile.picture.in_colour(colour);
            sheet.paste(&picture, [margin(picture.width()), top + line]);
            write(&mut sheet, &tile.caption, [margin(text_width(&tile.caption)), top]);
        }
        top += line + height + GAP;
    }
    Ok(sheet)
}

/// Returns pictures one below the other, each under a line of text.
///
/// # Errors
/// [`Error::Shape`] for no pictures, or a sheet over 1 GiB.
pub fn titled(parts: &[(String, Picture)]) -> Result<Picture, Error> {
    let widths = parts.iter().map(|(title, picture)| picture.width().max(caption_width(title) + GAP));
    let height = parts.iter().map(|(_, picture)| picture.height() + LINE + GAP).sum();
    let colour = Colour::common(parts.iter().map(|(_, picture)| picture));
    let mut sheet = Picture::filled(colour, [widths.max().unwrap_or(0), height], BACKGROUND)?;
    let mut top = GAP;
    for (title, picture) in parts {
        write(&mut sheet, title, [GAP, top]);
        sheet.paste(&picture.in_colour(colour), [0, top + LINE]);
        top += LINE + picture.height() + GAP;
    }
    Ok(sheet)
}

fn text_width(text: &str) -> usize {
    font::width(text, EM).ceil() as usize
}

/// Returns the width that a caption needs, with room beside it.
fn caption_width(text: &str) -> usize {
    if text.is_empty() { 0 } else { text_width(text) + ROOM }
}

/// Writes a line of text whose room begins at the top left corner `(left, top)`.
fn write(sheet: &mut Picture, text: &str, [left, top]: [usize; 2]) {
    font::cover(text, EM as f32, |x, y, coverage| {
        let place = |at: usize, by: i32| at.checked_add_signed(by as isize);
        let (Some(x), Some(y)) = (place(left, x), place(top + LINE / 2, y)) else { return };
        sheet.blend([x, y], INK, coverage);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(shade: u8, caption: &str) -> Tile {
        let picture = Picture::new(Colour::Grey, [20, 10], vec![shade; 200]).unwrap();
        Tile { picture, caption: caption.into() }
    }

    fn shades(picture: &Picture, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Vec<u8> {
        rows.flat_map(|y| columns.clone().map(move |x| picture.pixel(x, y).unwrap()[0])).collect()
    }

    #[test]
    fn tiles_without_captions_are_a_grid() {
        let sheet = tiles(&[tile(0, ""), tile(99, ""), tile(255, "")], 2).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (2 * 22 + 2, 2 * 12 + 2));
        assert!(shades(&sheet, 2..12, 2..22).iter().all(|shade| *shade == 0));
        assert!(shades(&sheet, 2..12, 24..44).iter().all(|shade| *shade == 99));
        assert!(shades(&sheet, 14..24, 2..22).iter().all(|shade| *shade == 255));
        assert!(shades(&sheet, 14..24, 24..44).iter().all(|shade| *shade == BACKGROUND));
    }

    #[test]
    fn captions_have_a_line_above_their_row_only() {
        let sheet = tiles(&[tile(0, "12"), tile(0, ""), tile(0, ""), tile(0, "")], 2).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (2 * 22 + 2, 2 * 12 + 2 + LINE));
        let text = shades(&sheet, 2..2 + LINE, 2..22);
        assert!(text.contains(&INK) || text.iter().any(|shade| *shade > 150), "{text:?}");
        assert!(shades(&sheet, 2..2 + LINE, 24..44).iter().all(|shade| *shade == BACKGROUND));
        assert!(shades(&sheet, 2 + LINE..12 + LINE, 2..22).iter().all(|shade| *shade == 0));
    }

    #[test]
    fn a_wide_caption_widens_its_cells_and_color_stays() {
        let red = Tile { picture: Picture::new(Colour::Rgb, [1, 1], vec![255, 0, 0]).unwrap(), caption: String::new() };
        let sheet = tiles(&[tile(0, "a caption wider than its picture"), red], 2).unwrap();
        let cell = caption_width("a caption wider than its picture");
        assert_eq!((sheet.width(), sheet.colour()), (2 * (cell + GAP) + GAP, Colour::Rgb));
        assert!(sheet.data().chunks_exact(3).any(|pixel| pixel == [255, 0, 0]));
    }

    #[test]
    fn titles_stand_above_their_parts() {
        let part = |shade| ("title".to_string(), tile(shade, "").picture);
        let sheet = titled(&[part(1), part(2)]).unwrap();
        assert_eq!(sheet.height(), 2 * (10 + LINE + GAP));
        assert_eq!(sheet.pixel(3, GAP + LINE).unwrap(), [1]);
        assert_eq!(sheet.pixel(3, 2 * GAP + 2 * LINE + 10).unwrap(), [2]);
        assert!(shades(&sheet, 2..LINE, 0..20).iter().any(|shade| *shade > 150));
    }

    #[test]
    fn empty_sheets_are_errors() {
        assert!(tiles(&[], 1).is_err() && tiles(&[tile(0, "")], 0).is_err() && titled(&[]).is_err());
    }
}
