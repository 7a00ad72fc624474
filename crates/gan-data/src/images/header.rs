//! What a file says about its image before any pixel is decoded.

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// The most pixels that an image may have: far beyond any photograph's worth of training, far below what fills a
/// machine's memory.
pub const MOST_PIXELS: u64 = 100_000_000;

/// The most bytes that a decoder may ask for.
const MOST_BYTES: u64 = 512 << 20;

/// How much of a file is read at first: nearly every header ends before.
const PREFIX: u64 = 16 << 10;

/// Height and width of the image in the file at `path`, as it is shown: after its EXIF orientation.
///
/// # Errors
/// Why the file cannot be used, in words.
pub fn size(path: &Path) -> Result<[usize; 2], String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.by_ref().take(PREFIX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    // WebP keeps its EXIF chunk behind the pixels.
    let first = size_in(&bytes);
    if (first.is_ok() && !bytes.starts_with(b"RIFF")) || (bytes.len() as u64) < PREFIX {
        return first;
    }
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    size_in(&bytes)
}

fn size_in(bytes: &[u8]) -> Result<[usize; 2], String> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH)
    );
    Ok(if turned { [width, height] } else { [height, width] }.map(|side| side as usize))
}

/// The whole image, turned as its EXIF orientation says.
pub fn read(bytes: &[u8]) -> Result<DynamicImage, String> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(words)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A decoder of whatever format the bytes have, within the limits.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("the file holds no JPEG, PNG, WebP, GIF or BMP image".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(words)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("its image has no pixels ({height}×{width})"));
    }
    if pixels > MOST_PIXELS {
        return Err(format!("its image is too large ({height}×{width}, the most are 100 megapixels)"));
    }
    if decoder.total_bytes() > MOST_BYTES {
        return Err(format!("its image of {height}×{width} needs more memory than the 512 MiB that are allowed"));
    }
    Ok(decoder)
}

/// An error of the decoder in one line.
fn words(error: image::ImageError) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}
