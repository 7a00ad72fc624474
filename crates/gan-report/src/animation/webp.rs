//! Animated WebP: the container (RFC 9649) around the lossless frames that `image-webp` encodes as still pictures.

use super::Animation;
use crate::{Colour, Error, Picture};
use gan_base::atomic;
use image_webp::{ColorType, WebPEncoder};
use std::path::Path;

/// Maximum number of pixels per side of a lossless frame.
const MOST_PIXELS: usize = 1 << 14;
/// Bytes before the first chunk of a file: "RIFF", the size of the rest, "WEBP".
const HEADER: usize = 12;
/// Flag of the extended header: the file is an animation.
const HAS_ANIMATION: u8 = 1 << 1;
/// Flag of a frame: it replaces the one before it instead of being blended over it.
const REPLACES: u8 = 1 << 1;

pub(super) fn save(animation: &Animation, path: &Path) -> Result<(), Error> {
    let [width, height] = animation.size();
    if width.max(height) > MOST_PIXELS {
        return Err(Error::Shape(format!("a WebP has at most {MOST_PIXELS} pixels a side, not {width} × {height}")));
    }
    let size = [minus_one(width), minus_one(height)].concat();
    let mut chunks = chunk(b"VP8X", &[&[HAS_ANIMATION, 0, 0, 0], &size[..]].concat());
    // The background's color, and zero for playing without end.
    chunks.extend(chunk(b"ANIM", &[0; 6]));
    for (frame, duration) in animation.enlarged().zip(animation.durations(1000)) {
        let place = [0; 6];
        let duration = &duration.to_le_bytes()[..3];
        let still = still(&frame?)?;
        chunks.extend(chunk(b"ANMF", &[&place, &size[..], duration, &[REPLACES], &still[HEADER..]].concat()));
    }
    let content = [b"WEBP", &chunks[..]].concat();
    if u32::try_from(content.len()).is_err() {
        return Err(Error::Shape("a WebP has at most 4 GiB; use fewer or smaller frames".into()));
    }
    Ok(atomic::write(path, &chunk(b"RIFF", &content))?)
}

/// Returns a whole file with one frame.
fn still(frame: &Picture) -> Result<Vec<u8>, Error> {
    let kind = match frame.colour() {
        Colour::Grey => ColorType::L8,
        Colour::Rgb => ColorType::Rgb8,
        Colour::Rgba => ColorType::Rgba8,
    };
    let mut bytes = Vec::new();
    let written = WebPEncoder::new(&mut bytes).encode(frame.data(), frame.width() as u32, frame.height() as u32, kind);
    written.map_err(|reason| Error::Shape(format!("cannot encode WebP: {reason}")))?;
    Ok(bytes)
}

/// Returns a side as three bytes, which hold one less.
fn minus_one(side: usize) -> Vec<u8> {
    (side as u32 - 1).to_le_bytes()[..3].to_vec()
}

/// Returns a chunk: its name, its length, and its content, filled up to an even length.
fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let fill = &[0][..content.len() % 2];
    [name, &(content.len() as u32).to_le_bytes()[..], content, fill].concat()
}
