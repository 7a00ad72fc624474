//! IDX files in a gzip stream with a valid checksum, so that changes reach the decompressed data.

use super::idx;
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use std::io::{Read, Write};

/// Wraps a deflate stream as gzip and reads it.
pub const TARGET: Target =
    Target { name: "idx_gz", body, seeds, tokens: &[], memory: Memory { mebibytes: 4, per_byte: 2200 } };

/// Maximum number of bytes that are decompressed to compute their checksum.
const MOST: u64 = 1 << 20;

fn body(input: &[u8]) -> Outcome {
    let mut plain = Vec::new();
    DeflateDecoder::new(input).take(MOST).read_to_end(&mut plain).ok();
    let (sum, length) = (crc32fast::hash(&plain).to_le_bytes(), (plain.len() as u32).to_le_bytes());
    let file = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], input, &sum, &length].concat();
    drop(plain);
    let path = place::file(&place::folder("idx_gz")?, "images.gz", &file)?;
    idx::both(&path)
}

fn deflated(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all bytes")
}

fn seeds() -> Vec<Seed> {
    vec![
        ("images", deflated(&idx::file(&[5, 6, 7]), Compression::best())),
        ("labels", deflated(&idx::file(&[300]), Compression::best())),
        ("stored", deflated(&idx::file(&[2, 3, 4]), Compression::none())),
    ]
}
