//! How fast packs are: makes one of noise, opens it, and reads it through the loader.
//!
//! ```sh
//! cargo run --release -p gan-data --example pack_speed -- FILE.ganpack [IMAGES] [WORKERS]
//! ```
//! The pack is made where it is not there yet, and left there. Images are 3×64×64; 200,000 of them take 2.5 GB.

use gan_data::pack::{self, Origin, Pack};
use gan_data::{Dataset, LastBatch, Loader, Order, Sampler, Sampling, SyntheticSamples};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const SHAPE: [usize; 3] = [3, 64, 64];
const BATCH: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let path = Path::new(args.first().ok_or("expected FILE.ganpack [IMAGES] [WORKERS]")?);
    let number = |at: usize, usual| args.get(at).map_or(Ok(usual), |text| text.parse::<usize>());
    let (images, workers) = (number(1, 200_000)?, number(2, 2)?);
    let mut out = std::io::stdout();
    if !path.exists() {
        let start = Instant::now();
        let origin = Origin { name: "synthetic", from: "noise" };
        let samples: Arc<dyn Dataset> = Arc::new(SyntheticSamples::new(0, images, SHAPE)?);
        pack::write(path, &samples, &origin, None, workers, &mut |_, _| ())?;
        let seconds = start.elapsed().as_secs_f64();
        writeln!(out, "packing:           {seconds:.2} s, {:.0} images/s", images as f64 / seconds)?;
    }

    let (start, before) = (Instant::now(), private_memory());
    let pack = Arc::new(Pack::open(path)?);
    let opened = start.elapsed();
    let (order, last) = (Order::Shuffled, LastBatch::Drop);
    let sampling = Sampling { len: pack.len(), batch: BATCH, seed: 0, order, last };
    let mut loader = Loader::new(pack.clone(), Sampler::new(sampling)?, workers)?;
    loader.next_batch()?;
    writeln!(out, "opening:           {:.2} ms for {} images", opened.as_secs_f64() * 1e3, pack.len())?;
    writeln!(out, "first batch:       {:.1} ms after the start", start.elapsed().as_secs_f64() * 1e3)?;

    let early = private_memory();
    for pass in 1..=2 {
        let start = Instant::now();
        let batches = loader.batches_per_epoch();
        for _ in 0..batches {
            loader.next_batch()?;
        }
        let speed = (batches as usize * BATCH) as f64 / start.elapsed().as_secs_f64();
        writeln!(out, "pass {pass}:            {speed:.0} images/s, {workers} workers, batches of {BATCH}")?;
    }
    let late = private_memory();
    writeln!(out, "private memory:    {before} kB, {early} kB after the first batch, {late} kB at the end")?;
    Ok(())
}

/// RssAnon in kB: memory that is the process's own. Mapped files do not count. 0 where the system does not tell.
fn private_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
