//! Decoding image files to pixels.

use super::color;
use super::fit::{Fitting, cut_out, fit};
use super::header::{ImageFile, Turn, decoder, words};
use super::pixels::Pixels;
use super::source::Source;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Decodes a JPEG, PNG, WebP, GIF (its first frame), BMP or TIFF (its first page) file: `[H, W, channels]`, 1 for gray, 3 for RGB, 4 for
/// premultiplied RGB and alpha.
///
/// Palettes are resolved, 16 bits are rounded to 8, an EXIF orientation is applied. Without alpha, what is transparent is laid over
/// `background`. Gray is the luma of ITU-R 601.
///
/// # Errors
/// Why the file cannot be used: another format, damaged, cut off, above 268 megapixels or 1 GiB.
pub fn decode(bytes: &[u8], channels: usize, background: [u8; 3]) -> Result<Pixels, String> {
    decode_in_turn(bytes, channels, background, &mut Turn::default())
}

/// Decodes the image file at `path` as [`decode`] does and brings it to a size. Only one large image at a time is in memory.
///
/// # Errors
/// Those of [`decode`]; why the file cannot be read, such as not a regular file, or longer than 512 MiB.
pub fn open(path: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    fitted(&Source::Folder(PathBuf::new()), path, channels, fitting)
}

/// Decodes the file `name` of `source` and brings it to a size, as [`open`] does.
pub(super) fn fitted(source: &Source, name: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    read_then(source, name, channels, fitting, fit)
}

/// Like [`fitted`], but keeps the image's own size and only cuts out the box.
pub(super) fn stored(source: &Source, name: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    read_then(source, name, channels, fitting, cut_out)
}

/// Decodes an image file and applies `then`, before another large one is read.
fn read_then(
    source: &Source,
    name: &Path,
    channels: usize,
    fitting: &Fitting,
    then: fn(Pixels, &Fitting) -> Pixels,
) -> Result<Pixels, String> {
    let mut turn = Turn::default();
    let bytes = ImageFile::all(source, name, &mut turn)?;
    let image = decode_in_turn(&bytes, channels, fitting.background, &mut turn)?;
    drop(bytes);
    Ok(then(image, fitting))
}

/// Decodes the whole image and brings it to the channels, waiting for `turn` if it is large.
fn decode_in_turn(bytes: &[u8], channels: usize, background: [u8; 3], turn: &mut Turn) -> Result<Pixels, String> {
    let image = decoded(bytes, turn)?;
    let size = [image.height() as usize, image.width() as usize];
    Ok(Pixels { size, channels, bytes: color::bytes(image, channels, background) })
}

/// The whole image as the file holds it, after its EXIF orientation.
pub(super) fn decoded(bytes: &[u8], turn: &mut Turn) -> Result<DynamicImage, String> {
    if is_cut_off(bytes) {
        return Err("the JPEG file is cut off".into());
    }
    let mut decoder = decoder(Cursor::new(bytes))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    turn.wait_for(decoder.total_bytes());
    let mut image = DynamicImage::from_decoder(decoder).map_err(words)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG file's last scan (marker FF DA) has no end (FF D9): the decoder would fill up the rest with grey.
/// In a scan FF is always followed by 00 or a restart marker, so neither pair can stand in its data.
fn is_cut_off(bytes: &[u8]) -> bool {
    if bytes.ends_with(&[0xff, 0xd9]) || !matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
        return false;
    }
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last([0xff, 0xda]).is_some_and(|scan| last([0xff, 0xd9]).is_none_or(|end| end < scan))
}
