//! What a file says about its image before any pixel is decoded.

use super::large::{MOST_BYTES, MOST_FILE, MOST_PIXELS, Turn};
use crate::file_kind::{self, Kind};
use gan_base::regular_file;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that a decoder may ask for each pixel of a picture, and beside them: more than any picture needs.
const PIXEL_BYTES: u64 = 16;
const SPARE_BYTES: u64 = 16 << 20;

/// How much of a file is read at first: nearly every header ends before.
const PREFIX: u64 = 16 << 10;

/// The most of a file that is read for its header. Profiles and previews may stand before the size.
const MOST_HEADER: u64 = 16 << 20;

/// Height and width of the image in the file at `path`, as it is shown: after its EXIF orientation.
///
/// # Errors
/// Why the file cannot be used, in words.
pub fn size(path: &Path) -> Result<[usize; 2], String> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    read(&mut file, PREFIX, &mut bytes)?;
    let is_webp = check(&file, &bytes)? == "a WebP image";
    // WebP keeps its EXIF chunk behind the pixels, to which its decoder goes directly.
    if is_webp {
        let mut turn = Turn::default();
        turn.wait_for(length(&file)?);
        file.seek(SeekFrom::Start(0)).map_err(words)?;
        return size_in(BufReader::new(file));
    }
    let first = size_in(Cursor::new(&bytes));
    if first.is_ok() || (bytes.len() as u64) < PREFIX {
        return first;
    }
    read(&mut file, MOST_HEADER - PREFIX, &mut bytes)?;
    size_in(Cursor::new(&bytes))
}

/// Opens the file of an image.
fn open(path: &Path) -> Result<File, String> {
    regular_file::open(path).map_err(words)
}

/// Adds up to `most` further bytes of `file` to `bytes`.
fn read(file: &mut File, most: u64, bytes: &mut Vec<u8>) -> Result<(), String> {
    file.take(most).read_to_end(bytes).map(|_| ()).map_err(words)
}

fn length(file: &File) -> Result<u64, String> {
    Ok(file.metadata().map_err(words)?.len())
}

/// The kind of image in a file that begins with `first`.
fn check(file: &File, first: &[u8]) -> Result<&'static str, String> {
    const READ: &str = "JPEG, PNG, WebP, GIF or BMP image";
    if first.is_empty() {
        return Err("the file is empty".into());
    }
    let kind = match file_kind::of_bytes(first) {
        Some(Kind::Image(kind)) => kind,
        Some(Kind::OtherImage(other)) => return Err(format!("the file holds {other}, expected a {READ}: convert it")),
        Some(Kind::Archive(other)) => return Err(format!("the file holds no {READ} but is {other}: unpack it")),
        Some(Kind::Other(other)) => return Err(format!("the file holds no {READ} but is {other}")),
        Some(Kind::Pack) | None => return Err(format!("the file holds no {READ}")),
    };
    match length(file)? {
        0..=MOST_FILE => Ok(kind),
        found => Err(format!("the file has {found} bytes, the most that are read of an image are {MOST_FILE}")),
    }
}

/// The bytes of the image file at `path`. `turn` is waited for where they are many.
///
/// # Errors
/// Why the file cannot be used, in words.
pub fn bytes(path: &Path, turn: &mut Turn) -> Result<Vec<u8>, String> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    read(&mut file, PREFIX, &mut bytes)?;
    check(&file, &bytes)?;
    let length = length(&file)?;
    turn.wait_for(length);
    bytes.reserve_exact(length.saturating_sub(PREFIX) as usize);
    read(&mut file, MOST_FILE - PREFIX, &mut bytes)?;
    Ok(bytes)
}

fn size_in(reader: impl BufRead + Seek) -> Result<[usize; 2], String> {
    let mut decoder = decoder(reader)?;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        decoder.orientation(),
        Ok(Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH)
    );
    Ok(if turned { [width, height] } else { [height, width] }.map(|side| side as usize))
}

/// The whole image, turned as its EXIF orientation says. `turn` is waited for where it is large.
///
/// # Errors
/// Why the bytes cannot be used, in words.
pub fn decoded(bytes: &[u8], turn: &mut Turn) -> Result<DynamicImage, String> {
    let mut decoder = decoder(Cursor::new(bytes))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    turn.wait_for(decoder.total_bytes());
    let mut image = DynamicImage::from_decoder(decoder).map_err(words)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A decoder of whatever format the bytes have, within the limits.
fn decoder<'a>(reader: impl BufRead + Seek + 'a) -> Result<impl ImageDecoder + 'a, String> {
    let mut reader = ImageReader::new(reader).with_guessed_format().map_err(words)?;
    if reader.format().is_none() {
        return Err("the file holds no JPEG, PNG, WebP, GIF or BMP image".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(words)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("its image has no pixels ({height}×{width})"));
    }
    if pixels > MOST_PIXELS {
        let most = MOST_PIXELS / 1_000_000;
        return Err(format!("its image is too large ({height}×{width}, the most are {most} megapixels)"));
    }
    if decoder.total_bytes() > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        return Err(format!("its image of {height}×{width} needs more memory than the {most} MiB that are allowed"));
    }
    // A frame of a GIF may claim to be much larger than the picture that it is a part of.
    limits.max_alloc = Some(MOST_BYTES.min(pixels * PIXEL_BYTES + SPARE_BYTES));
    decoder.set_limits(limits).map_err(words)?;
    Ok(decoder)
}

/// An error of the system or of the decoder in one line.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}
