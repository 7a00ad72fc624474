//! Decoding image files to pixels.

use super::fit::{Fitting, cut_out, fit};
use super::header::{ImageFile, Turn, decoder, words};
use super::pixels::{Pixels, luma};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat};
use std::io::Cursor;
use std::path::Path;

/// Decodes a JPEG, PNG, WebP, GIF (its first frame) or BMP file: `[H, W, channels]`, 1 for grey, 3 for RGB.
///
/// Palettes are resolved, 16 bits become 8, an EXIF orientation is applied. What is transparent is laid over `background`.
/// Grey is the luma of ITU-R 601.
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
    open_then(path, channels, fitting, fit)
}

/// Like [`open`], but keeps the image's own size and only cuts out the box.
pub(super) fn stored(path: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    open_then(path, channels, fitting, cut_out)
}

/// Decodes an image file and applies `then`, before another large one is read.
fn open_then(
    path: &Path,
    channels: usize,
    fitting: &Fitting,
    then: fn(Pixels, &Fitting) -> Pixels,
) -> Result<Pixels, String> {
    let mut turn = Turn::default();
    let bytes = ImageFile::all(path, &mut turn)?;
    let image = decode_in_turn(&bytes, channels, fitting.background, &mut turn)?;
    drop(bytes);
    Ok(then(image, fitting))
}

/// Decodes the whole image and brings it to the channels, waiting for `turn` if it is large.
fn decode_in_turn(bytes: &[u8], channels: usize, background: [u8; 3], turn: &mut Turn) -> Result<Pixels, String> {
    let image = decoded(bytes, turn)?;
    let size = [image.height() as usize, image.width() as usize];
    let rgb = colours(image, background);
    let bytes = match channels {
        1 => rgb.chunks_exact(3).map(|p| luma([p[0], p[1], p[2]])).collect(),
        _ => rgb,
    };
    Ok(Pixels { size, channels, bytes })
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

/// `[H, W, 3]`
pub(super) fn colours(image: DynamicImage, background: [u8; 3]) -> Vec<u8> {
    if !image.color().has_alpha() {
        return image.into_rgb8().into_raw();
    }
    let image = image.into_rgba8().into_raw();
    image.chunks_exact(4).flat_map(|p| over([p[0], p[1], p[2]], p[3], background)).collect()
}

/// α·c + (1 − α)·background, rounded.
fn over(colour: [u8; 3], alpha: u8, background: [u8; 3]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    let mix = |c: u8, b: u8| (alpha * u32::from(c) + (255 - alpha) * u32::from(b) + 127) / 255;
    [0, 1, 2].map(|i| mix(colour[i], background[i]) as u8)
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
