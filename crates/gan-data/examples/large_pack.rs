//! A pack of very many small images: how soon the first batch is there, and what memory 2,000 batches take.
//!
//! `cargo run --release -p gan-data --example large_pack -- [IMAGES [WINDOW]]`, 10,000,000 of 8×8 and windows of 65,536 where not said. The pack, half a
//! gigabyte and more, stays in the system's folder for temporary files until the end.

#![allow(clippy::print_stdout, reason = "its figures")]

use gan_data::pack::{Origin, Pack, write};
use gan_data::{Dataset, LastBatch, Loader, Order, Sampler, Sampling, SyntheticSamples};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let images = numbers.next().transpose()?.unwrap_or(10_000_000);
    let window = numbers.next().transpose()?.unwrap_or(65_536);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.ganpack");
    let start = Instant::now();
    let samples: Arc<dyn Dataset> = Arc::new(SyntheticSamples::new(1, images, [1, 8, 8])?);
    write(&path, &samples, &Origin { name: "synthetic", from: "a seed" }, None, 2, &mut |_, _| {})?;
    println!("{images} images written in {:.1} s", start.elapsed().as_secs_f64());
    for order in [Order::Windowed(window), Order::Shuffled] {
        let start = Instant::now();
        let pack = Pack::open(&path)?;
        let sampling = Sampling { len: pack.len(), batch: 128, seed: 1, order, last: LastBatch::Keep };
        let mut loader = Loader::new(Arc::new(pack), Sampler::new(sampling)?, 1)?;
        loader.next_batch()?;
        let first = start.elapsed().as_secs_f64();
        let mut most = resident();
        for _ in 0..2000 {
            loader.next_batch()?;
            most = most.max(resident());
        }
        let rate = 2000.0 * 128.0 / (start.elapsed().as_secs_f64() - first);
        println!("{order:?}: first batch after {first:.3} s; {rate:.0} images/s; {most:.0} MiB resident at most");
    }
    Ok(())
}

/// MiB of memory that the process holds, where the system tells.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}
