//! Reading image files: their size without decoding, their pixels, and the limits for both.

use super::fit::{Fitting, cut_out, fit};
use super::pixels::{Pixels, luma};
use crate::file_kind::{self, Kind};
use gan_base::regular_file;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most pixels that an image may have: a square of 16,384. The largest cameras of phones make 200 million.
const MOST_PIXELS: u64 = 1 << 28;

/// The most bytes that an image may take once it is decoded.
const MOST_BYTES: u64 = 1 << 30;

/// The most bytes that an image's file may have.
const MOST_FILE: u64 = 1 << 29;

/// A file or a decoded image of more bytes than these is large.
const LARGE: u64 = 1 << 26;

static TURN: Mutex<()> = Mutex::new(());

/// The right to hold a large file or image in memory, so that memory stays within that of one of them however many threads decode. A
/// thread that has it must pass it on rather than take it again.
#[derive(Default)]
pub(super) struct Turn(Option<MutexGuard<'static, ()>>);

impl Turn {
    /// Waits for the right if `bytes` are many, unless this value holds it already.
    pub(super) fn wait_for(&mut self, bytes: u64) {
        if bytes > LARGE && self.0.is_none() {
            // A thread that panicked with it holds no memory any more.
            self.0 = Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Bytes that a decoder may allocate for each pixel, and in addition: more than any image needs.
const PIXEL_BYTES: u64 = 16;
const SPARE_BYTES: u64 = 16 << 20;

/// Bytes of a file that are read first: nearly every header is shorter.
const PREFIX: u64 = 16 << 10;

/// The most bytes of a file that are read for its header. Profiles and previews may precede the size.
const MOST_HEADER: u64 = 16 << 20;

/// An open image file whose first bytes have been read.
struct ImageFile {
    file: File,
    length: u64,
    kind: &'static str,
    bytes: Vec<u8>,
}

impl ImageFile {
    fn open(path: &Path) -> Result<Self, String> {
        const READ: &str = "JPEG, PNG, WebP, GIF or BMP image";
        let file = regular_file::open(path).map_err(words)?;
        let length = file.metadata().map_err(words)?.len();
        let mut opened = Self { file, length, kind: "", bytes: Vec::new() };
        opened.read(PREFIX)?;
        if opened.bytes.is_empty() {
            return Err("the file is empty".into());
        }
        opened.kind = match file_kind::of_bytes(&opened.bytes) {
            Some(Kind::Image(kind)) => kind,
            Some(Kind::OtherImage(other)) => {
                return Err(format!("the file holds {other}, expected a {READ}: convert it"));
            }
            Some(Kind::Archive(other)) => return Err(format!("the file holds no {READ} but is {other}: unpack it")),
            Some(Kind::Other(other)) => return Err(format!("the file holds no {READ} but is {other}")),
            Some(Kind::Pack) | None => return Err(format!("the file holds no {READ}")),
        };
        if length > MOST_FILE {
            return Err(format!("the file has {length} bytes, the most that are read of an image are {MOST_FILE}"));
        }
        Ok(opened)
    }

    /// Appends up to `most` further bytes.
    fn read(&mut self, most: u64) -> Result<(), String> {
        self.file.by_ref().take(most).read_to_end(&mut self.bytes).map(|_| ()).map_err(words)
    }
}

/// Reads height and width of the image in the file at `path`, after its EXIF orientation, without decoding it. The error says why the file
/// cannot be used.
pub(super) fn size(path: &Path) -> Result<[usize; 2], String> {
    let mut image = ImageFile::open(path)?;
    // WebP keeps its EXIF chunk behind the pixels; its decoder seeks to it.
    if image.kind == "a WebP image" {
        let mut turn = Turn::default();
        turn.wait_for(image.length);
        image.file.seek(SeekFrom::Start(0)).map_err(words)?;
        return size_in(BufReader::new(image.file));
    }
    let first = size_in(Cursor::new(&image.bytes));
    if first.is_ok() || (image.bytes.len() as u64) < PREFIX {
        return first;
    }
    image.read(MOST_HEADER - PREFIX)?;
    size_in(Cursor::new(&image.bytes))
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

/// A decoder of the format that the bytes have, within the limits.
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

/// An error of the system or the decoder in one line.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}

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
    let mut file = ImageFile::open(path)?;
    turn.wait_for(file.length);
    file.bytes.reserve_exact(file.length.saturating_sub(PREFIX) as usize);
    file.read(MOST_FILE - PREFIX)?;
    let image = decode_in_turn(&file.bytes, channels, fitting.background, &mut turn)?;
    drop(file);
    Ok(then(image, fitting))
}

/// Decodes the whole image and applies its EXIF orientation, waiting for `turn` if it is large.
fn decode_in_turn(bytes: &[u8], channels: usize, background: [u8; 3], turn: &mut Turn) -> Result<Pixels, String> {
    if is_cut_off(bytes) {
        return Err("the JPEG file is cut off".into());
    }
    let mut decoder = decoder(Cursor::new(bytes))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    turn.wait_for(decoder.total_bytes());
    let mut image = DynamicImage::from_decoder(decoder).map_err(words)?;
    image.apply_orientation(orientation);
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
