//! The headers of image files: sizes and channels without decoding, and the limits for both files and images.

use super::source::{Bytes, Source};
use super::walk::FORMATS;
use crate::file_kind::{self, Kind};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageReader, Limits};
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
pub(super) struct ImageFile {
    file: Bytes,
    length: u64,
    kind: &'static str,
    bytes: Vec<u8>,
}

impl ImageFile {
    fn open(source: &Source, name: &Path) -> Result<Self, String> {
        let file = source.read(name).map_err(words)?;
        let length = file.length().map_err(words)?;
        let mut opened = Self { file, length, kind: "", bytes: Vec::new() };
        opened.read(PREFIX)?;
        if opened.bytes.is_empty() {
            return Err("the file is empty".into());
        }
        opened.kind = match file_kind::of_bytes(&opened.bytes) {
            Some(Kind::Image(kind)) => kind,
            Some(Kind::OtherImage(other)) => {
                return Err(format!("the file holds {other}, expected a {FORMATS} image: convert it"));
            }
            Some(Kind::Archive(other)) => {
                return Err(format!("the file holds no {FORMATS} image but is {other}: unpack it"));
            }
            Some(Kind::Other(other)) => return Err(format!("the file holds no {FORMATS} image but is {other}")),
            Some(Kind::Array) => {
                return Err(format!("the file holds no {FORMATS} image but is an array: name it alone"));
            }
            Some(Kind::Pack) | None => return Err(format!("the file holds no {FORMATS} image")),
        };
        if length > MOST_FILE {
            return Err(format!("the file has {length} bytes, the most that are read of an image are {MOST_FILE}"));
        }
        Ok(opened)
    }

    /// All bytes of a file, waiting for `turn` if it is large.
    pub fn all(source: &Source, name: &Path, turn: &mut Turn) -> Result<Vec<u8>, String> {
        let mut file = Self::open(source, name)?;
        turn.wait_for(file.length);
        // An archive may declare any length.
        file.bytes.reserve_exact(file.length.saturating_sub(PREFIX).min(LARGE) as usize);
        file.read(MOST_FILE - PREFIX)?;
        Ok(file.bytes)
    }

    /// Appends up to `most` further bytes.
    fn read(&mut self, most: u64) -> Result<(), String> {
        self.file.by_ref().take(most).read_to_end(&mut self.bytes).map(|_| ()).map_err(words)
    }
}

/// The channels of an image as its file holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channels {
    /// Grey.
    Grey,
    /// Grey and alpha.
    GreyAlpha,
    /// Red, green and blue; palettes too.
    Rgb,
    /// Red, green, blue and alpha; palettes with transparent entries too.
    Rgba,
}

impl Channels {
    fn of(colour: ColorType) -> Self {
        match (colour.has_color(), colour.has_alpha()) {
            (false, false) => Self::Grey,
            (false, true) => Self::GreyAlpha,
            (true, false) => Self::Rgb,
            (true, true) => Self::Rgba,
        }
    }

    /// Whether it is not grey.
    pub fn has_colour(self) -> bool {
        matches!(self, Self::Rgb | Self::Rgba)
    }

    /// Whether pixels can be transparent.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// What the header of an image file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// `[H, W]` after the EXIF orientation.
    pub size: [usize; 2],
    pub channels: Channels,
    /// Bits of a channel: 8, 16 or 32.
    pub depth: usize,
    /// Whether the file is an animation; only its first frame is read.
    pub is_animated: bool,
    /// Bytes of the file.
    pub length: u64,
}

impl Header {
    /// Reads the header of the file `name` of `source`. The error says why the file cannot be used.
    pub fn read(source: &Source, name: &Path) -> Result<Self, String> {
        let mut image = ImageFile::open(source, name)?;
        // WebP keeps its EXIF chunk behind the pixels, and TIFF may keep its whole header there; their decoders seek to it.
        if matches!(image.kind, "a WebP image" | "a TIFF image") {
            let mut turn = Turn::default();
            turn.wait_for(image.length);
            if let Bytes::File(mut file) = image.file {
                file.seek(SeekFrom::Start(0)).map_err(words)?;
                return Self::of(BufReader::new(file), &image.bytes, image.length);
            }
            image.read(MOST_FILE - PREFIX)?;
            return Self::of(Cursor::new(&image.bytes), &image.bytes, image.length);
        }
        let first = Self::of(Cursor::new(&image.bytes), &image.bytes, image.length);
        if first.is_ok() || (image.bytes.len() as u64) < PREFIX {
            return first;
        }
        image.read(MOST_HEADER - PREFIX)?;
        Self::of(Cursor::new(&image.bytes), &image.bytes, image.length)
    }

    /// Reads the header from `reader`; `start` is how the file begins.
    fn of(reader: impl BufRead + Seek, start: &[u8], length: u64) -> Result<Self, String> {
        let mut decoder = decoder(reader)?;
        let (width, height) = decoder.dimensions();
        let colour = decoder.color_type();
        let turned = matches!(
            decoder.orientation(),
            Ok(Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH)
        );
        let size = if turned { [width, height] } else { [height, width] }.map(|side| side as usize);
        let depth = 8 * usize::from(colour.bytes_per_pixel()) / usize::from(colour.channel_count());
        Ok(Self { size, channels: Channels::of(colour), depth, is_animated: is_animated(start), length })
    }
}

/// Whether a file that begins with `start` is an animation: a GIF that repeats or has a second frame there, a PNG with an animation
/// control chunk, or a WebP with the flag.
fn is_animated(start: &[u8]) -> bool {
    let has = |part: &[u8], word: &[u8]| part.windows(word.len()).any(|window| window == word);
    if start.starts_with(b"GIF8") {
        return has(start, b"\x0bNETSCAPE2.0") || gif_frames(start) > 1;
    }
    if start.starts_with(b"\x89PNG") {
        let end = start.windows(4).position(|window| window == b"IDAT").unwrap_or(start.len());
        return has(&start[..end], b"acTL");
    }
    start.get(8..16) == Some(b"WEBPVP8X") && start.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// The frames of a GIF that begin in its first bytes.
fn gif_frames(start: &[u8]) -> usize {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + start.get(10).map_or(0, |flags| table(*flags));
    let mut frames = 0;
    loop {
        at += match start.get(at) {
            Some(0x21) => 2,
            Some(0x2c) => {
                frames += 1;
                11 + start.get(at + 9).map_or(0, |flags| table(*flags))
            }
            _ => return frames,
        };
        // Blocks of data, each after its length; a length of 0 ends them.
        while let Some(length) = start.get(at) {
            at += 1 + usize::from(*length);
            if *length == 0 {
                break;
            }
        }
    }
}

/// A decoder of the format that the bytes have, within the limits.
pub(super) fn decoder<'a>(reader: impl BufRead + Seek + 'a) -> Result<impl ImageDecoder + 'a, String> {
    let mut reader = ImageReader::new(reader).with_guessed_format().map_err(words)?;
    if reader.format().is_none() {
        return Err(format!("the file holds no {FORMATS} image"));
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
pub(super) fn words(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}
