//! Samples as one sheet: a batch of images, row by row, with a thin gap between them.

use crate::picture::checked_bytes;
use crate::{Colour, Error, Picture};

/// Number of pixels between tiles and around the sheet.
pub(crate) const GAP: usize = 2;

/// Gray of the gap and of empty cells: dark enough beside MNIST's black, light enough to distinguish a missing tile
/// from a black one.
pub(crate) const BACKGROUND: u8 = 48;

/// Value of a pixel that is NaN or infinite: the middle of the range, so that a broken generator looks flat.
const NOT_A_NUMBER: u8 = 128;

/// A borrowed batch of images: float32 `[N, C, H, W]`, contiguous, C = 1 (gray) or 3 (RGB). Values outside of [−1, 1] are clamped when drawn.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pixels: &'a [f32],
    count: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl<'a> Images<'a> {
    /// Checks that `pixels` is `[n, c, h, w]`.
    ///
    /// # Errors
    /// [`Error::Shape`] if c is not 1 or 3, h or w is 0, or the length is not n·c·h·w.
    pub fn new(pixels: &'a [f32], shape: [usize; 4]) -> Result<Self, Error> {
        let [count, channels, height, width] = shape;
        if channels != 1 && channels != 3 {
            return Err(Error::Shape(format!("images have 1 channel (grey) or 3 (RGB), not {channels}")));
        }
        if height == 0 || width == 0 {
            return Err(Error::Shape(format!("images of {width} × {height} pixels are empty")));
        }
        if shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side)) != Some(pixels.len()) {
            return Err(Error::Shape(format!("{shape:?} images do not hold {} values", pixels.len())));
        }
        Ok(Self { pixels, count, channels, height, width })
    }

    /// Returns each image as a picture of its own size.
    ///
    /// # Errors
    /// [`Error::Shape`] if one would be over 1 GiB.
    pub fn pictures(&self) -> Result<Vec<Picture>, Error> {
        (0..self.count).map(|index| self.picture(index)).collect()
    }

    /// Returns image `index` as bytes with interleaved channels: `[C, H, W]` → `[H, W, C]`.
    fn picture(&self, index: usize) -> Result<Picture, Error> {
        let plane = self.height * self.width;
        let image = &self.pixels[index * self.channels * plane..][..self.channels * plane];
        let data = (0..plane).flat_map(|at| (0..self.channels).map(move |c| byte(image[c * plane + at]))).collect();
        Picture::new(colour(self.channels), [self.width, self.height], data)
    }
}

/// Converts [−1, 1] → 0…255, rounded to nearest and clamped.
fn byte(value: f32) -> u8 {
    if value.is_finite() { ((value + 1.0) * 127.5).round() as u8 } else { NOT_A_NUMBER }
}

/// Returns a sheet of `rows` × `cols` cells, filled row by row, with 2 gray pixels between and
/// around them: cols·(W + 2) + 2 wide and rows·(H + 2) + 2 high. Cells without an image stay blank.
///
/// # Errors
/// [`Error::Shape`] if there are more images than cells, no cells, or the sheet would be over 1 GiB.
pub fn grid(images: &Images, rows: usize, cols: usize) -> Result<Picture, Error> {
    let count = images.count;
    let cells = rows.saturating_mul(cols);
    if cells == 0 {
        return Err(Error::Shape(format!("a grid of {rows} × {cols} has no cells; both must be at least 1")));
    }
    if count > cells {
        return Err(Error::Shape(format!("{count} images do not fit into {rows} × {cols} = {cells} cells")));
    }
    let size = sheet_size(images.height, images.width, rows, cols);
    let [step_x, step_y] = [images.width + GAP, images.height + GAP];
    let mut sheet = Picture::filled(colour(images.channels), size, BACKGROUND)?;
    for index in 0..count {
        let corner = [GAP + index % cols * step_x, GAP + index / cols * step_y];
        sheet.paste(&images.picture(index)?, corner);
    }
    Ok(sheet)
}

/// Checks that a sheet of `rows` × `cols` images of shape `[C, H, W]`, or a strip if `rows` is 1, can be drawn, before the images are
/// computed.
///
/// # Errors
/// [`Error::Shape`] if there are no cells, or the sheet would be over 1 GiB.
pub fn check_grid([channels, height, width]: [usize; 3], rows: usize, cols: usize) -> Result<(), Error> {
    checked_bytes(colour(channels), sheet_size(height, width, rows, cols)).map(|_| ())
}

fn colour(channels: usize) -> Colour {
    if channels == 1 { Colour::Grey } else { Colour::Rgb }
}

/// Returns width and height of a sheet.
fn sheet_size(height: usize, width: usize, rows: usize, cols: usize) -> [usize; 2] {
    let side = |cells: usize, pixels: usize| cells.saturating_mul(pixels.saturating_add(GAP)).saturating_add(GAP);
    [side(cols, width), side(rows, height)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_map_to_bytes() {
        let cases = [(-1.0, 0), (1.0, 255), (0.0, 128), (-7.0, 0), (3.0, 255), (-0.5, 64)];
        for (value, expected) in cases {
            assert_eq!(byte(value), expected, "{value}");
        }
        assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(byte), [NOT_A_NUMBER; 3]);
    }

    #[test]
    fn tiles_lie_row_by_row_with_gaps() {
        // Three 2 × 3 images (height 2, width 3) whose pixels all hold one value each.
        let pixels: Vec<f32> = [-1.0f32, 0.0, 1.0].iter().flat_map(|&v| [v; 6]).collect();
        let sheet = grid(&Images::new(&pixels, [3, 1, 2, 3]).unwrap(), 2, 2).unwrap();
        assert_eq!((sheet.width(), sheet.height(), sheet.colour()), (2 * 5 + 2, 2 * 4 + 2, Colour::Grey));
        let at = |x, y| sheet.pixel(x, y).unwrap()[0];
        assert_eq!((at(2, 2), at(4, 3)), (0, 0));
        assert_eq!((at(7, 2), at(9, 3)), (128, 128));
        assert_eq!((at(2, 6), at(4, 7)), (255, 255));
        for (x, y) in [(0, 0), (1, 2), (5, 2), (6, 3), (3, 4), (3, 5), (7, 6), (9, 7), (11, 9), (10, 2)] {
            assert_eq!(at(x, y), BACKGROUND, "({x}, {y}) belongs to a gap or an empty cell");
        }
    }

    #[test]
    fn planes_become_interleaved_colours() {
        // [1, 3, 1, 2]: red plane, green plane, blue plane.
        let pixels = [1.0, -1.0, -1.0, 1.0, 0.0, f32::NAN];
        let sheet = grid(&Images::new(&pixels, [1, 3, 1, 2]).unwrap(), 1, 1).unwrap();
        assert_eq!(sheet.pixel(2, 2).unwrap(), [255, 0, 128]);
        assert_eq!(sheet.pixel(3, 2).unwrap(), [0, 255, 128]);
    }

    #[test]
    fn too_many_images_name_both_numbers() {
        let message = grid(&Images::new(&[0.0; 5], [5, 1, 1, 1]).unwrap(), 2, 2).unwrap_err().to_string();
        assert!(message.contains("5 images") && message.contains("4 cells"), "{message}");
    }

    #[test]
    fn wrong_shapes_are_errors() {
        assert!(Images::new(&[0.0; 4], [1, 2, 1, 2]).unwrap_err().to_string().contains("not 2"));
        assert!(Images::new(&[0.0; 4], [1, 1, 2, 3]).is_err());
        assert!(Images::new(&[], [1, 1, 0, 3]).is_err());
        assert!(Images::new(&[0.0], [usize::MAX, 3, 1, 1]).is_err());
        let one = Images::new(&[0.0], [1, 1, 1, 1]).unwrap();
        assert!(grid(&one, 0, 3).is_err());
        assert!(grid(&one, usize::MAX, usize::MAX).is_err());
    }

    #[test]
    fn sheets_that_are_too_large_are_found_before_they_are_drawn() {
        assert!(check_grid([3, 1000, 1000], 10, 10).is_ok());
        let message = check_grid([3, 1000, 1000], 20, 20).unwrap_err().to_string();
        assert!(message.contains("20042 × 20042") && message.contains("1 GiB"), "{message}");
        assert!(check_grid([1, usize::MAX, 1], usize::MAX, 1).is_err());
    }

    #[test]
    fn no_images_are_a_blank_sheet() {
        let sheet = grid(&Images::new(&[], [0, 1, 2, 2]).unwrap(), 1, 2).unwrap();
        assert!(sheet.data().iter().all(|&shade| shade == BACKGROUND));
    }
}
