//! A file's bytes as an image of the wanted channels, and a file as an image of the wanted size.

use super::fit::{Fitting, cut_out, fit};
use super::header;
use super::large::Turn;
use super::pixels::{Pixels, luma};
use image::{DynamicImage, ImageFormat};
use std::path::Path;

/// Decodes a JPEG, PNG, WebP, GIF (its first frame) or BMP file: `[H, W, channels]`, 1 for grey, 3 for RGB.
///
/// Palettes are resolved, 16 bits become 8, an EXIF orientation is applied. What is transparent is laid over `background`.
/// Grey is the luma of ITU-R 601.
///
/// # Errors
/// Why the file cannot be used, in words: no such format, damaged, cut off, above 268 megapixels or 1 GiB.
pub fn decode(bytes: &[u8], channels: usize, background: [u8; 3]) -> Result<Pixels, String> {
    decode_in_turn(bytes, channels, background, &mut Turn::default())
}

/// The image file at `path` decoded as by [`decode`] and brought to a size. Only one large image at a time is in memory.
///
/// # Errors
/// Those of [`decode`]; why the file cannot be read: not a regular file, or longer than 512 MiB.
pub fn open(path: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    read(path, channels, fitting, |image| fit(&image, fitting))
}

/// The same image in its own size, with the box cut out.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn stored(path: &Path, channels: usize, fitting: &Fitting) -> Result<Pixels, String> {
    read(path, channels, fitting, |image| cut_out(image, fitting))
}

/// What `then` makes of an image file, before another large one is read.
fn read(
    path: &Path,
    channels: usize,
    fitting: &Fitting,
    then: impl FnOnce(Pixels) -> Pixels,
) -> Result<Pixels, String> {
    let mut turn = Turn::default();
    let bytes = header::bytes(path, &mut turn)?;
    let image = decode_in_turn(&bytes, channels, fitting.background, &mut turn)?;
    drop(bytes);
    Ok(then(image))
}

fn decode_in_turn(bytes: &[u8], channels: usize, background: [u8; 3], turn: &mut Turn) -> Result<Pixels, String> {
    if is_cut_off(bytes) {
        return Err("the JPEG file is cut off".into());
    }
    let image = header::decoded(bytes, turn)?;
    let size = [image.height() as usize, image.width() as usize];
    let rgb = colours(image, background);
    let bytes = match channels {
        1 => rgb.chunks_exact(3).map(|p| luma([p[0], p[1], p[2]])).collect(),
        _ => rgb,
    };
    Ok(Pixels { size, channels, bytes })
}

/// `[H, W, 3]`
fn colours(image: DynamicImage, background: [u8; 3]) -> Vec<u8> {
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
