//! IDX files, gzipped or not.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use flate2::{Compression, write::GzEncoder};
use gan_data::idx::{Idx, read};
use std::io::Write;
use std::path::Path;

/// Reads a file as images, and as labels.
pub const TARGET: Target = Target {
    name: "idx",
    body,
    seeds,
    tokens: &["\u{0}\u{0}\u{8}\u{3}", "\u{0}\u{0}\u{8}\u{1}", "\u{0}\u{0}\u{0}\u{1}", "\u{1f}"],
    // Deflate expands a byte to at most 1032, and a growing buffer may have twice the capacity that it needs.
    memory: Memory { mebibytes: 1, per_byte: 2200 },
};

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("idx")?, "images", input)?;
    both(&path)
}

/// Reads the file as images or, if it contains none, as labels.
pub fn both(path: &Path) -> Outcome {
    if let Ok(Idx { dims, data }) = read::<3>(path) {
        assert_eq!(dims.iter().product::<usize>(), data.len());
        return Ok(());
    }
    let Idx { dims, data } = read::<1>(path)?;
    assert_eq!(dims, [data.len()]);
    Ok(())
}

/// Returns an IDX file of these sizes, whose bytes count up.
pub fn file(dims: &[u32]) -> Vec<u8> {
    let words = std::iter::once(0x0800 | dims.len() as u32).chain(dims.iter().copied());
    let count = dims.iter().product::<u32>();
    words.flat_map(u32::to_be_bytes).chain((0..count).map(|value| value as u8)).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all bytes")
}

fn seeds() -> Vec<Seed> {
    let two = [gzip(&file(&[2, 3, 4])[..7]), gzip(&file(&[2, 3, 4])[7..])].concat();
    vec![
        ("images", file(&[3, 4, 5])),
        ("labels", file(&[7])),
        ("images-gz", gzip(&file(&[30, 4, 5]))),
        ("labels-gz", gzip(&file(&[7]))),
        ("two-members-gz", two),
    ]
}
