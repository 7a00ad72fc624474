//! What stands where in a pack. All numbers are little-endian.
//!
//! ```text
//! 0    8       magic number "ganpack\n"
//! 8    4       version, 1
//! 12   4       h: bytes of the header
//! 16   4       CRC-32 of bytes 8 to 16 and of the header
//! 20   h       header, JSON, filled up with blanks so that it ends at a multiple of 64
//!      4·N     labels, u32; only where there are classes
//!      4·N     CRC-32 of each image: of its label's four bytes, if it has one, and its pixels
//!      N·C·H·W pixels, u8, [N, C, H, W]
//! ```

use crate::Error;
use crate::file_kind::{self, Kind};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;

/// A pack's first bytes. The line feed shows files that were sent as text.
pub const MAGIC: &[u8; 8] = b"ganpack\n";

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;

/// Where the header begins.
const START: usize = 20;

/// What the header's end is a multiple of.
const ALIGN: usize = 64;

/// The most values of an image: more are no images but damage, and would fill the memory of whoever reads one.
const MOST_VALUES: usize = 1 << 28;

/// The most bytes of a header: hundreds of thousands of classes' names.
const MOST_HEADER: usize = 1 << 24;

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The data set's name.
    pub name: String,
    /// What it was made from, for people.
    pub made_from: String,
    /// N, how many images.
    pub count: usize,
    /// `[C, H, W]` of each.
    pub shape: [usize; 3],
    /// The classes' names; empty where there are no labels.
    pub classes: Vec<String>,
}

/// Where the parts of a pack begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    labels: Option<usize>,
    checksums: usize,
    pixels: usize,
    /// Bytes of an image.
    image: usize,
    /// Bytes of the file.
    pub(super) end: usize,
}

impl Layout {
    /// Of a pack with this header that ends at `start`; `None` where the numbers are impossible.
    fn new(header: &Header, start: usize) -> Option<Self> {
        let image = header.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let image = image.filter(|n| (1..=MOST_VALUES).contains(n))?;
        let numbers = header.count.checked_mul(4)?;
        let labels = (!header.classes.is_empty()).then_some(start);
        let checksums = if labels.is_some() { start.checked_add(numbers)? } else { start };
        let pixels = checksums.checked_add(numbers)?;
        let end = header.count.checked_mul(image)?.checked_add(pixels)?;
        Some(Self { labels, checksums, pixels, image, end })
    }

    pub(super) fn label_of(&self, index: usize) -> Option<usize> {
        self.labels.map(|start| start + 4 * index)
    }

    pub(super) fn checksum_of(&self, index: usize) -> usize {
        self.checksums + 4 * index
    }

    /// The bytes of the labels, the checksums and the pixels of images `0..count`, each with where they begin.
    pub(super) fn regions(&self, count: usize) -> [Range<usize>; 3] {
        let labels = self.labels.map_or(0..0, |start| start..start + 4 * count);
        let checksums = self.checksums..self.checksums + 4 * count;
        [labels, checksums, self.pixels..self.pixels + count * self.image]
    }

    pub(super) fn pixels_of(&self, index: usize) -> Range<usize> {
        let start = self.pixels + index * self.image;
        start..start + self.image
    }
}

/// The first bytes of a pack, up to the header's end, and what comes after. `None` where the numbers are impossible.
pub(super) fn start(header: &Header) -> Option<(Vec<u8>, Layout)> {
    let mut text = serde_json::to_vec(header).ok()?;
    text.resize((START + text.len()).next_multiple_of(ALIGN) - START, b' ');
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MOST_HEADER)?;
    let numbers = [VERSION.to_le_bytes(), length.to_le_bytes()].concat();
    let bytes = [&MAGIC[..], &numbers, &of_header(&numbers, &text).to_le_bytes(), &text].concat();
    let layout = Layout::new(header, bytes.len())?;
    Some((bytes, layout))
}

/// The header of the pack `bytes`, checked with the file's length.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Header, Layout), Error> {
    if !bytes.starts_with(MAGIC) {
        let kind = file_kind::of_bytes(&bytes[..bytes.len().min(file_kind::ENOUGH as usize)]);
        let advice = match kind {
            Some(Kind::Archive(_)) => "unpack it and name the folder",
            _ => "`gan data pack SRC DST.ganpack` makes a pack; a folder of images is named as a folder",
        };
        let found = kind.map_or("other first bytes", Kind::name).into();
        return Err(wrong(path, "no pack", found, "\"ganpack\" and a line feed".into(), advice));
    }
    let header = header(path, bytes)?;
    let layout = Layout::new(&header.0, header.1).ok_or_else(|| {
        let found = format!("{} images of {:?}", header.0.count, header.0.shape);
        damaged(path, "impossible header", found, format!("images of 1 to {MOST_VALUES} values, and fewer of them"))
    })?;
    match bytes.len() == layout.end {
        true => Ok((header.0, layout)),
        false => {
            let (count, [c, h, w]) = (header.0.count, header.0.shape);
            let expected = format!("{} bytes for {count} images of {c}×{h}×{w}", layout.end);
            let what = if bytes.len() < layout.end { "cut off" } else { "too long" };
            Err(damaged(path, what, format!("{} bytes", bytes.len()), expected))
        }
    }
}

/// The header and where it ends.
fn header(path: &Path, bytes: &[u8]) -> Result<(Header, usize), Error> {
    let cut =
        |expected: usize| damaged(path, "cut off", format!("{} bytes", bytes.len()), format!("{expected} or more"));
    let [version, length, expected] = match bytes.len() {
        START.. => [8, 12, 16].map(|at| number(bytes, at)),
        _ => return Err(cut(START)),
    };
    if version != VERSION {
        let advice = "pack the data again with this version of gan, or read it with the one that made it";
        return Err(wrong(path, "version of the format", version.to_string(), VERSION.to_string(), advice));
    }
    if length as usize > MOST_HEADER {
        return Err(damaged(path, "impossible header", format!("{length} bytes"), format!("at most {MOST_HEADER}")));
    }
    let end = START.saturating_add(length as usize);
    let text = bytes.get(START..end).ok_or_else(|| cut(end))?;
    let found = of_header(&bytes[8..16], text);
    if found != expected {
        return Err(damaged(path, "damaged header", format!("CRC-32 {found:08x}"), format!("{expected:08x}")));
    }
    let header = serde_json::from_slice(text);
    Ok((header.map_err(|error| damaged(path, "header", error.to_string(), "the keys of a pack".into()))?, end))
}

fn of_header(numbers: &[u8], text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(numbers);
    hasher.update(text);
    hasher.finalize()
}

/// The CRC-32 of an image: its label, if it has one, and its pixels.
pub(super) fn checksum(label: Option<u32>, pixels: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    if let Some(label) = label {
        hasher.update(&label.to_le_bytes());
    }
    hasher.update(pixels);
    hasher.finalize()
}

/// The four bytes at `at` as a number.
pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// A pack that is not what it was.
pub(super) fn damaged(path: &Path, what: &'static str, found: String, expected: String) -> Error {
    wrong(path, what, found, expected, "copy the file anew, or pack the data again (`gan data pack`)")
}

/// What is wrong with a file or folder, and what to do.
pub(super) fn wrong(path: &Path, what: &'static str, found: String, expected: String, advice: &str) -> Error {
    Error::File { path: path.into(), what, found, expected, advice: advice.into() }
}
