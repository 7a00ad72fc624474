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

/// A borrowed batch of images: float32 `[N, C, H, W]`, contiguous. Values outside of [−1, 1] are clamped when drawn. C is 1 (gray), 3 (RGB)
/// or 4 (premultiplied RGB and alpha). Of two other channels the first is drawn as gray, of more the first three as RGB.
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
    /// [`Error::Shape`] if c, h or w is 0, or the length is not n·c·h·w.
    pub fn new(pixels: &'a [f32], shape: [usize; 4]) -> Result<Self, Error> {
        let [count, channels, height, width] = shape;
        if channels == 0 || height == 0 || width == 0 {
            return Err(Error::Shape(format!("images of {width} × {height} pixels and {channels} channels are empty")));
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
        let colour = colour(self.channels);
        let data = match colour {
            Colour::Rgba => (0..plane).flat_map(|at| straight([0, 1, 2, 3].map(|c| image[c * plane + at]))).collect(),
            _ => (0..plane).flat_map(|at| (0..colour.channels()).map(move |c| byte(image[c * plane + at]))).collect(),
        };
        Picture::new(colour, [self.width, self.height], data)
    }
}

/// Converts a pixel of premultiplied RGB and alpha to bytes, with the colors divided by alpha as in PNG files.
fn straight(pixel: [f32; 4]) -> [u8; 4] {
    let [r, g, b, alpha] = straight_pixel(pixel).map(byte);
    if alpha == 0 { [0; 4] } else { [r, g, b, alpha] }
}

/// Divides the colors of a pixel by its alpha: all in [−1, 1], taken as numbers from 0 to 1. Where nothing is visible, colors are black.
fn straight_pixel([r, g, b, alpha]: [f32; 4]) -> [f32; 4] {
    let opacity = ((alpha + 1.0) / 2.0).clamp(0.0, 1.0);
    let divide = |p: f32| if opacity > 0.0 { ((p + 1.0) / opacity - 1.0).clamp(-1.0, 1.0) } else { -1.0 };
    [divide(r), divide(g), divide(b), alpha.clamp(-1.0, 1.0)]
}

/// Divides the colors of images `[N, 4, H, W]` by their alpha, as files hold them; `pixels` is H·W.
pub fn straighten(images: &mut [f32], pixels: usize) {
    for image in images.chunks_exact_mut(4 * pixels) {
        for at in 0..pixels {
            let straight = straight_pixel([0, 1, 2, 3].map(|c| image[c * pixels + at]));
            (0..4).for_each(|c| image[c * pixels + at] = straight[c]);
        }
    }
}

/// Converts [−1, 1] → 0…255, rounded to nearest and clamped.
fn byte(value: f32) -> u8 {
    if value.is_finite() { ((value + 1.0) * 127.5).round() as u8 } else { NOT_A_NUMBER }
}

/// Returns a sheet of `rows` × `cols` cells, filled row by row, with 2 gray pixels between and
/// around them: cols·(W + 2) + 2 wide and rows·(H + 2) + 2 high. Cells without an image stay blank, and transparent pixels show a
/// checkerboard.
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
    let colour = sheet_colour(images.channels);
    let mut sheet = Picture::filled(colour, size, BACKGROUND)?;
    for index in 0..count {
        let corner = [GAP + index % cols * step_x, GAP + index / cols * step_y];
        sheet.paste(&images.picture(index)?.in_colour(colour), corner);
    }
    Ok(sheet)
}

/// Checks that a sheet of `rows` × `cols` images of shape `[C, H, W]`, or a strip if `rows` is 1, can be drawn, before the images are
/// computed.
///
/// # Errors
/// [`Error::Shape`] if there are no cells, or the sheet would be over 1 GiB.
pub fn check_grid([channels, height, width]: [usize; 3], rows: usize, cols: usize) -> Result<(), Error> {
    checked_bytes(sheet_colour(channels), sheet_size(height, width, rows, cols)).map(|_| ())
}

fn colour(channels: usize) -> Colour {
    match channels {
        0..=2 => Colour::Grey,
        4 => Colour::Rgba,
        _ => Colour::Rgb,
    }
}

/// Returns the color of a sheet, which has no alpha.
fn sheet_colour(channels: usize) -> Colour {
    if colour(channels) == Colour::Grey { Colour::Grey } else { Colour::Rgb }
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
    fn images_with_alpha_are_straight_in_files_and_opaque_on_sheets() {
        // Opaque red, half transparent white, and transparent.
        let pixels = [1.0, 0.0, -1.0, -1.0, 0.0, -1.0, -1.0, 0.0, -1.0, 1.0, 0.0, -1.0];
        let images = Images::new(&pixels, [1, 4, 1, 3]).unwrap();
        let picture = images.pictures().unwrap().remove(0);
        assert_eq!(picture.colour(), Colour::Rgba);
        assert_eq!(picture.data(), [255, 0, 0, 255, 255, 255, 255, 128, 0, 0, 0, 0]);
        let sheet = grid(&images, 1, 1).unwrap();
        assert_eq!((sheet.colour(), sheet.pixel(2, 2).unwrap()), (Colour::Rgb, &[255, 0, 0][..]));
        assert_eq!([sheet.pixel(3, 2).unwrap()[0], sheet.pixel(4, 2).unwrap()[0]], [176, 96]);
        let mut values = pixels;
        straighten(&mut values, 3);
        assert_eq!(values, [1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 0.0, -1.0]);
    }

    #[test]
    fn other_channels_are_drawn_in_part() {
        let two = Images::new(&[1.0, -1.0], [1, 2, 1, 1]).unwrap().pictures().unwrap().remove(0);
        assert_eq!((two.colour(), two.data()), (Colour::Grey, &[255][..]));
        let five = Images::new(&[1.0, -1.0, 1.0, 0.0, 0.0], [1, 5, 1, 1]).unwrap().pictures().unwrap().remove(0);
        assert_eq!((five.colour(), five.data()), (Colour::Rgb, &[255, 0, 255][..]));
    }

    #[test]
    fn too_many_images_name_both_numbers() {
        let message = grid(&Images::new(&[0.0; 5], [5, 1, 1, 1]).unwrap(), 2, 2).unwrap_err().to_string();
        assert!(message.contains("5 images") && message.contains("4 cells"), "{message}");
    }

    #[test]
    fn wrong_shapes_are_errors() {
        assert!(Images::new(&[], [1, 0, 1, 2]).unwrap_err().to_string().contains("0 channels"));
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
