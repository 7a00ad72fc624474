//! Packs with valid checksums.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::Dataset;
use gan_data::pack::{Header, MAGIC, Pack};

/// Opens a pack and reads its images.
///
/// The input is a header's JSON, a line feed, and the data after the header: labels and pixels. The checksums are inserted.
pub const TARGET: Target = Target {
    name: "pack",
    body,
    seeds,
    tokens: TOKENS,
    names: Vec::new,
    memory: Memory { mebibytes: 8, per_byte: 64 },
};

const TOKENS: &[&str] = &[
    "\"name\":",
    "\"made_from\":",
    "\"count\":",
    "\"shape\":[",
    "\"classes\":[",
    "\"a\"",
    "\"\\u001b[2J\"",
    "\"\"",
    "0",
    "[",
    "]",
    "18446744073709551615",
    "4294967296",
    "\n",
];

/// The version of the format.
const VERSION: u32 = 1;

/// A header ends at a multiple of this number of bytes.
const ALIGN: usize = 64;

/// Maximum number of images that are read.
const IMAGES: usize = 16;

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("pack")?, "input.ganpack", &sealed(input))?;
    let pack = Pack::open(&path)?;
    let size = pack.pixels();
    if size > 1 << 20 {
        return Ok(());
    }
    let mut image = vec![0.0; size];
    for index in 0..pack.len().min(IMAGES) {
        pack.write(index, &mut image)?;
        let label = pack.label(index);
        assert!(label.is_none_or(|label| (label as usize) < pack.classes().len()), "label {label:?}");
    }
    Ok(())
}

/// Returns a pack of this header and body with valid checksums.
fn sealed(input: &[u8]) -> Vec<u8> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, rest) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let mut padded = text.to_vec();
    padded.resize((20 + text.len()).next_multiple_of(ALIGN) - 20, b' ');
    let numbers = [VERSION.to_le_bytes(), (padded.len() as u32).to_le_bytes()].concat();
    let sum = crc32fast::hash(&[&numbers[..], &padded].concat());
    [&MAGIC[..], &numbers, &sum.to_le_bytes(), &padded, &checked(text, rest)].concat()
}

/// Inserts the images' checksums between labels and pixels, if the header can be read.
fn checked(header: &[u8], rest: &[u8]) -> Vec<u8> {
    let Ok(header) = serde_json::from_slice::<Header>(header) else { return rest.to_vec() };
    let size = header.shape.iter().fold(1usize, |all, side| all.saturating_mul(*side));
    if header.count > 4096 || size == 0 {
        return rest.to_vec();
    }
    let labels = if header.classes.is_empty() { 0 } else { 4 * header.count };
    let (labels, pixels) = rest.split_at(labels.min(rest.len()));
    let label = |index: usize| labels.get(4 * index..4 * index + 4).unwrap_or_default();
    let mut images = pixels.chunks(size);
    let sums = (0..header.count)
        .flat_map(|index| crc32fast::hash(&[label(index), images.next().unwrap_or_default()].concat()).to_le_bytes());
    let sums: Vec<u8> = sums.collect();
    [labels, &sums, pixels].concat()
}

fn seeds() -> Vec<Seed> {
    let labels = [0u32, 1, 0].map(u32::to_le_bytes).concat();
    let pixels: Vec<u8> = (0..3 * 6).map(|value| value * 14).collect();
    let classes = br#"{"name":"n","made_from":"m","count":3,"shape":[1,2,3],"classes":["a","b"]}"#;
    let none = br#"{"name":"n","made_from":"m","count":2,"shape":[3,1,3],"classes":[]}"#;
    vec![
        ("classes", [&classes[..], b"\n", &labels, &pixels].concat()),
        ("no-classes", [&none[..], b"\n", &pixels].concat()),
    ]
}
