//! How fast images are loaded: `load DIR [SIDE] [BATCH] [WORKERS] [BATCHES]`.
//!
//! DIR is a folder of images. Prints images a second after the first batch, when that came, and the most memory held.

#![allow(clippy::print_stdout)] // an example says what it finds

use gan_data::{DatasetSpec, Folder, LastBatch, Loader, OpenOptions, Order, Sampler, Sampling};
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let dir = words.first().ok_or("load DIR [SIDE] [BATCH] [WORKERS] [BATCHES]")?;
    let number = |at: usize, default: usize| words.get(at).map_or(Ok(default), |word| word.parse());
    let (side, batch, workers) = (number(1, 64)?, number(2, 128)?, number(3, 2)?);
    let start = Instant::now();
    let data = Folder::default().open(&OpenOptions::default().dir(dir).size(side))?;
    let opened = start.elapsed().as_secs_f64();
    let sampling = Sampling { len: data.len(), batch, seed: 1, order: Order::Shuffled, last: LastBatch::Drop };
    let mut loader = Loader::new(data, Sampler::new(sampling)?, workers)?;
    let batches = number(4, loader.batches_per_epoch() as usize)?;
    loader.next_batch()?;
    let first = start.elapsed().as_secs_f64();
    let start = Instant::now();
    for _ in 1..batches {
        loader.next_batch()?;
    }
    let rate = ((batches - 1) * batch) as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} images/s, opened after {opened:.2} s, first batch after {first:.2} s, {:.0} MiB", peak_mib());
    Ok(())
}

/// The largest memory that this process has held; 0 where the system does not tell.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
