//! MNIST and Fashion-MNIST: grey PNG files into four gzipped IDX files.

use super::{Count, Parts, pixels};
use crate::Error;
use crate::fetch::place::Staging;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::PathBuf;

/// Height and width.
const SIDE: u32 = 28;

pub(super) fn write(parts: &Parts, staging: &mut Staging, count: &mut Count<'_>) -> Result<(), Error> {
    split("train", &parts.train, staging, count)?;
    split("t10k", &parts.test, staging, count)
}

fn split(name: &str, files: &[PathBuf], staging: &mut Staging, count: &mut Count<'_>) -> Result<(), Error> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    count.rows(files, |sample| {
        labels.push(sample.label(10)?);
        images.extend_from_slice(&pixels(&sample, SIDE)?.into_luma8());
        Ok(())
    })?;
    let n = labels.len() as u32;
    staging.write(&format!("{name}-images-idx3-ubyte.gz"), &packed(&[0x803, n, SIDE, SIDE], &images))?;
    staging.write(&format!("{name}-labels-idx1-ubyte.gz"), &packed(&[0x801, n], &labels))
}

/// The header's big-endian words and the bytes, gzipped.
fn packed(header: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let words: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    let written = encoder.write_all(&words).and_then(|()| encoder.write_all(bytes)).and_then(|()| encoder.finish());
    written.expect("memory takes all bytes")
}
