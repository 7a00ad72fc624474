//! The layout of a pack. All numbers are little-endian.
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
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

/// A pack's first bytes. The line feed reveals files that were transferred as text.
pub const MAGIC: &[u8; 8] = b"ganpack\n";

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// Offset of the header.
const START: usize = 20;

/// The header ends at a multiple of this.
const ALIGN: usize = 64;

/// The most values of an image: more indicate damage, and would fill the reader's memory.
const MOST_VALUES: usize = 1 << 28;

/// The most bytes of a header: enough for hundreds of thousands of classes' names.
const MOST_HEADER: usize = 1 << 24;

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The data set's name.
    pub name: String,
    /// What the pack was made from, for people.
    pub made_from: String,
    /// N, the number of images.
    pub count: usize,
    /// `[C, H, W]` of each.
    pub shape: [usize; 3],
    /// The classes' names; empty if there are no labels.
    pub classes: Vec<String>,
}

/// The offsets of a pack's parts.
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
    /// The layout of a pack whose header ends at `start`; `None` if the numbers are impossible.
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

    /// The ranges of the labels, the checksums and the pixels of images `0..count`.
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

/// The first bytes of a pack, up to the header's end, and the layout of the rest. `None` if the numbers are impossible.
pub(super) fn start(header: &Header) -> Option<(Vec<u8>, Layout)> {
    let mut text = serde_json::to_vec(header).ok()?;
    text.resize((START + text.len()).next_multiple_of(ALIGN) - START, b' ');
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MOST_HEADER)?;
    let numbers = [VERSION.to_le_bytes(), length.to_le_bytes()].concat();
    let bytes = [&MAGIC[..], &numbers, &crc([&numbers, &text]).to_le_bytes(), &text].concat();
    let layout = Layout::new(header, bytes.len())?;
    Some((bytes, layout))
}

/// Checks magic number, version, the header's CRC-32 and the length of the pack `bytes`.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Header, Layout), Error> {
    if !bytes.starts_with(MAGIC) {
        let kind = file_kind::of_bytes(&bytes[..bytes.len().min(file_kind::ENOUGH as usize)]);
        let advice = match kind {
            Some(Kind::Archive(_)) => "unpack it and name the folder",
            _ => "`gan data pack SRC DST.ganpack` makes a pack; a folder of images is named as a folder",
        };
        let found = kind.map_or("other first bytes", Kind::name);
        return Err(Error::file(path, "no pack", found, "\"ganpack\" and a line feed", advice));
    }
    let wrong = |what, found: String, expected: String| Err(damaged(path, what, found, expected));
    let cut_off = |expected: usize| wrong("cut off", format!("{} bytes", bytes.len()), format!("{expected} or more"));
    if bytes.len() < START {
        return cut_off(START);
    }
    let [version, length, expected] = [8, 12, 16].map(|at| number(bytes, at));
    if version != VERSION {
        let advice = "pack the data again with this version of gan, or read it with the one that made it";
        return Err(Error::file(path, "version of the format", version, VERSION, advice));
    }
    if length as usize > MOST_HEADER {
        return wrong("impossible header", format!("{length} bytes"), format!("at most {MOST_HEADER}"));
    }
    let end = START + length as usize;
    let Some(text) = bytes.get(START..end) else { return cut_off(end) };
    let found = crc([&bytes[8..16], text]);
    if found != expected {
        return wrong("damaged header", format!("CRC-32 {found:08x}"), format!("{expected:08x}"));
    }
    let header: Header = match serde_json::from_slice(text) {
        Ok(header) => header,
        Err(error) => return wrong("header", error.to_string(), "the keys of a pack".into()),
    };
    let count = header.count;
    let Some(layout) = Layout::new(&header, end) else {
        let expected = format!("images of 1 to {MOST_VALUES} values, and fewer of them");
        return wrong("impossible header", format!("{count} images of {:?}", header.shape), expected);
    };
    if bytes.len() != layout.end {
        let [c, h, w] = header.shape;
        let expected = format!("{} bytes for {count} images of {c}×{h}×{w}", layout.end);
        let what = if bytes.len() < layout.end { "cut off" } else { "too long" };
        return wrong(what, format!("{} bytes", bytes.len()), expected);
    }
    Ok((header, layout))
}

/// The CRC-32 of two pieces, one after the other.
fn crc(pieces: [&[u8]; 2]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    hasher.finalize()
}

/// The CRC-32 of an image: its label, if it has one, and its pixels.
pub(super) fn checksum(label: Option<u32>, pixels: &[u8]) -> u32 {
    let label = label.map(u32::to_le_bytes);
    crc([label.as_ref().map_or(&[], |bytes| &bytes[..]), pixels])
}

/// The four bytes at `at` as a number.
pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// The error of a pack that is not as it was written.
pub(super) fn damaged(path: &Path, what: &'static str, found: impl Display, expected: impl Display) -> Error {
    Error::file(path, what, found, expected, "copy the file anew, or pack the data again (`gan data pack`)")
}
