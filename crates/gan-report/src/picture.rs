//! A picture with 8 bits per channel, gray, RGB or RGB with alpha, and its PNG.

use crate::Error;
use gan_base::atomic;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::path::Path;

/// Maximum size of a picture in bytes. A larger one is a mistake, and refusing it is better than running out of memory.
const MOST_BYTES: u64 = 1 << 30;

/// Meaning of the bytes of a [`Picture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One byte per pixel, 0 black to 255 white.
    Grey,
    /// Three bytes per pixel: red, green, blue.
    Rgb,
    /// Four bytes per pixel: red, green, blue, and alpha, 0 transparent to 255 opaque.
    Rgba,
}

/// Grays of the checkerboard behind transparent pixels, and the side of its squares.
const BOARD: [u8; 2] = [96, 208];
const SQUARE: usize = 4;

impl Colour {
    /// Returns the number of bytes per pixel: 1, 3 or 4.
    pub fn channels(self) -> usize {
        match self {
            Colour::Grey => 1,
            Colour::Rgb => 3,
            Colour::Rgba => 4,
        }
    }

    /// Returns gray if all pictures are, or else RGB: the color of a sheet or an animation of them.
    pub(crate) fn common<'a>(mut pictures: impl Iterator<Item = &'a Picture>) -> Self {
        if pictures.all(|picture| picture.colour == Self::Grey) { Self::Grey } else { Self::Rgb }
    }
}

/// A picture. Rows go from top to bottom, pixels from left to right, channels are interleaved: `data` is `[height,
/// width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    colour: Colour,
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Picture {
    /// Creates a picture from `data`, `[height, width, channels]` bytes.
    ///
    /// # Errors
    /// [`Error::Shape`] if a side is 0, or the length of `data` is not height × width × channels.
    pub fn new(colour: Colour, [width, height]: [usize; 2], data: Vec<u8>) -> Result<Self, Error> {
        let bytes = checked_bytes(colour, [width, height])?;
        if data.len() != bytes {
            let found = data.len();
            return Err(Error::Shape(format!(
                "a {width} × {height} {colour:?} picture needs {bytes} bytes, got {found}"
            )));
        }
        Ok(Self { colour, width, height, data })
    }

    /// Returns a picture of one color; `shade` is its gray value, 0 to 255.
    pub(crate) fn filled(colour: Colour, [width, height]: [usize; 2], shade: u8) -> Result<Self, Error> {
        let bytes = checked_bytes(colour, [width, height])?;
        Ok(Self { colour, width, height, data: vec![shade; bytes] })
    }

    /// Reads a PNG file, for instance `samples/step-0000500.png` of a run. Alpha is dropped, 16 bits become 8.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Content`] if it is not a PNG; both name `path`.
    pub fn open_png(path: &Path) -> Result<Self, Error> {
        let bytes = gan_base::regular_file::read(path, crate::MOST_BYTES).map_err(Error::file("read", path))?;
        Self::from_png(&bytes).map_err(|problem| Error::Content { path: path.to_owned(), problem })
    }

    /// Decodes the bytes of a PNG file, or returns the reason for the failure.
    pub(crate) fn from_png(bytes: &[u8]) -> Result<Self, String> {
        let decoded = image::load_from_memory_with_format(bytes, image::ImageFormat::Png)
            .map_err(|reason| format!("not a readable PNG: {reason}"))?;
        let size = [decoded.width() as usize, decoded.height() as usize];
        let picture = if decoded.color().has_color() {
            Self::new(Colour::Rgb, size, decoded.into_rgb8().into_raw())
        } else {
            Self::new(Colour::Grey, size, decoded.into_luma8().into_raw())
        };
        picture.map_err(|problem| problem.to_string())
    }

    /// Returns the meaning of the bytes.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Returns the width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the bytes, `[height, width, channels]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the channels of the pixel in column `x` of row `y`, both counted from 0 at the top left; `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<&[u8]> {
        let channels = self.colour.channels();
        let start = (y * self.width + x) * channels;
        (x < self.width && y < self.height).then(|| &self.data[start..start + channels])
    }

    /// Enlarges every pixel to `factor` × `factor` equal ones, so that small samples stay sharp on a large screen.
    ///
    /// # Errors
    /// [`Error::Shape`] for a factor of 0 and for a result over 1 GiB.
    pub fn enlarged(&self, factor: usize) -> Result<Picture, Error> {
        let size = [self.width.saturating_mul(factor), self.height.saturating_mul(factor)];
        let mut data = Vec::with_capacity(checked_bytes(self.colour, size)?);
        for row in self.data.chunks_exact(self.width * self.colour.channels()) {
            let wide: Vec<u8> =
                row.chunks_exact(self.colour.channels()).flat_map(|pixel| pixel.repeat(factor)).collect();
            (0..factor).for_each(|_| data.extend_from_slice(&wide));
        }
        Picture::new(self.colour, size, data)
    }

    /// Returns the same picture as RGB; a gray value is repeated three times, and transparent pixels show a checkerboard of light and dark
    /// gray, so that neither bright nor dark pictures vanish.
    pub fn to_rgb(&self) -> Picture {
        let over = |(at, pixel): (usize, &[u8; 4])| {
            let [x, y] = [at % self.width, at / self.width].map(|place| place / SQUARE);
            let [behind, alpha] = [BOARD[(x + y) % 2], pixel[3]].map(u32::from);
            [0, 1, 2].map(|i| ((alpha * u32::from(pixel[i]) + (255 - alpha) * behind + 127) / 255) as u8)
        };
        let data = match self.colour {
            Colour::Rgb => self.data.clone(),
            Colour::Grey => self.data.iter().flat_map(|&grey| [grey; 3]).collect(),
            Colour::Rgba => self.data.as_chunks().0.iter().enumerate().flat_map(over).collect(),
        };
        Picture { colour: Colour::Rgb, data, ..*self }
    }

    /// Returns the same picture as gray or RGB.
    pub(crate) fn in_colour(&self, colour: Colour) -> Picture {
        if colour == self.colour { self.clone() } else { self.to_rgb() }
    }

    /// Copies `tile`, of the same color, with its top left corner to `(left, top)`; it must lie inside.
    pub(crate) fn paste(&mut self, tile: &Picture, [left, top]: [usize; 2]) {
        debug_assert_eq!(self.colour, tile.colour);
        let channels = self.colour.channels();
        for (y, row) in tile.data.chunks_exact(tile.width * channels).enumerate() {
            let start = ((top + y) * self.width + left) * channels;
            self.data[start..start + row.len()].copy_from_slice(row);
        }
    }

    /// Mixes the gray `shade` into a pixel, from not at all (0) to entirely (1); does nothing outside.
    pub(crate) fn blend(&mut self, [x, y]: [usize; 2], shade: u8, opacity: f32) {
        let channels = self.colour.channels();
        if x < self.width && y < self.height {
            for channel in &mut self.data[(y * self.width + x) * channels..][..channels] {
                let mixed = f32::from(*channel) + (f32::from(shade) - f32::from(*channel)) * opacity;
                *channel = mixed.round() as u8;
            }
        }
    }

    /// Returns the bytes of a PNG file with 8 bits per channel.
    ///
    /// # Errors
    /// [`Error::Shape`] if the encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        let kind = match self.colour {
            Colour::Grey => ExtendedColorType::L8,
            Colour::Rgb => ExtendedColorType::Rgb8,
            Colour::Rgba => ExtendedColorType::Rgba8,
        };
        let mut bytes = Vec::new();
        let written = PngEncoder::new(&mut bytes).write_image(&self.data, self.width as u32, self.height as u32, kind);
        written.map_err(|reason| Error::Shape(format!("cannot encode PNG: {reason}")))?;
        Ok(bytes)
    }

    /// Writes the PNG to `path` atomically.
    ///
    /// # Errors
    /// [`Error::File`] naming `path`, for instance if its directory does not exist.
    pub fn save_png(&self, path: &Path) -> Result<(), Error> {
        Ok(atomic::write(path, &self.to_png()?)?)
    }
}

/// Returns the number of bytes of such a picture, if the size is valid.
pub(crate) fn checked_bytes(colour: Colour, [width, height]: [usize; 2]) -> Result<usize, Error> {
    let bytes = (width as u64).checked_mul(height as u64).and_then(|n| n.checked_mul(colour.channels() as u64));
    match bytes {
        Some(0) => {
            Err(Error::Shape(format!("a picture of {width} × {height} pixels is empty; both must be at least 1")))
        }
        Some(bytes) if bytes <= MOST_BYTES => Ok(bytes as usize),
        _ => Err(Error::Shape(format!("a picture of {width} × {height} pixels is over 1 GiB; make it smaller"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn small() -> Picture {
        Picture::new(Colour::Rgb, [2, 1], vec![1, 2, 3, 4, 5, 6]).unwrap()
    }

    #[test]
    fn png_files_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.png");
        for picture in [small(), Picture::new(Colour::Grey, [2, 3], vec![0, 9, 128, 200, 254, 255]).unwrap()] {
            picture.save_png(&path).unwrap();
            assert_eq!(Picture::open_png(&path).unwrap(), picture);
        }
    }

    #[test]
    fn transparent_pixels_show_a_checkerboard() {
        let data: Vec<u8> = (0..8).flat_map(|x| [200, 100, 0, if x == 0 { 255 } else { 0 }]).collect();
        let picture = Picture::new(Colour::Rgba, [8, 1], data).unwrap();
        let shown = picture.to_rgb();
        assert_eq!(shown.data()[..6], [200, 100, 0, 96, 96, 96]);
        assert_eq!(shown.data()[12..15], [208; 3]);
        let png = image::load_from_memory(&picture.to_png().unwrap()).unwrap();
        assert_eq!(png.as_rgba8().unwrap().as_raw(), picture.data());
    }

    #[test]
    fn enlarging_repeats_pixels_both_ways() {
        let twice = small().enlarged(2).unwrap();
        assert_eq!((twice.width(), twice.height()), (4, 2));
        let row = [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6];
        assert_eq!(twice.data(), [row, row].concat());
        assert_eq!(small().enlarged(1).unwrap(), small());
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(
            Picture::new(Colour::Grey, [2, 2], vec![0; 3]).unwrap_err().to_string().contains("needs 4 bytes, got 3")
        );
        assert!(Picture::new(Colour::Grey, [0, 2], vec![]).is_err());
        assert!(small().enlarged(0).is_err());
        assert!(small().enlarged(usize::MAX).is_err());
    }

    #[test]
    fn a_file_that_is_no_png_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.png");
        fs::write(&path, b"not a png").unwrap();
        assert!(Picture::open_png(&path).unwrap_err().to_string().contains("broken.png"));
    }

    #[test]
    fn pixels_are_found_by_column_and_row() {
        assert_eq!(small().pixel(1, 0), Some(&[4, 5, 6][..]));
        assert_eq!(small().pixel(2, 0), None);
        assert_eq!(small().pixel(0, 1), None);
    }
}
