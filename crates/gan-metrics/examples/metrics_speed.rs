//! How long metrics take on made features; `benches/peers/metrics.py` does the same work in Python.
//!
//! ```sh
//! cargo run --release --workspace --example metrics_speed -- [SAMPLES] [FEATURES] [ROUNDS] [NAMES…]
//! ```
//! Prints the median over the rounds of each piece, or of those named: moments, frechet, kid, prdc, nearest, swd.

use gan_base::Rng;
use gan_metrics::{Features, Moments, frechet, kid, memorisation, prdc, swd};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| args.get(at).map_or(Ok(usual), |text| text.parse::<usize>());
    let (n, dim, rounds) = (number(0, 10_000)?, number(1, 2048)?, number(2, 3)?);
    let names = args.get(3..).unwrap_or_default();
    let (real, generated) = (made(1, n, dim, 0.0)?, made(2, n, dim, 0.05)?);
    let mut out = std::io::stdout();
    writeln!(out, "{n} real and {n} generated samples of {dim} features, median of {rounds}")?;
    let mut time = |name: &str, work: &dyn Fn() -> gan_metrics::Result<f64>| -> Result<(), Box<dyn Error>> {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            return Ok(());
        }
        let (mut seconds, mut value) = (vec![], 0.0);
        for _ in 0..rounds {
            let start = Instant::now();
            value = work()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        Ok(writeln!(out, "{name:<9} {:8.3} s   {value:.9}", seconds[rounds / 2])?)
    };

    let (a, b) = (Moments::of(&real)?, Moments::of(&generated)?);
    time("moments", &|| Ok(Moments::of(&real)?.mean()[0] + Moments::of(&generated)?.mean()[0]))?;
    time("frechet", &|| Ok(frechet::distance(&a, &b)?.value))?;
    time("kid", &|| Ok(kid::kid(&real, &generated, &mut Rng::new(0))?.value))?;
    time("prdc", &|| {
        let found = prdc::prdc(&real, &generated, 5)?;
        Ok(found.precision + found.recall + found.density + found.coverage)
    })?;
    time("nearest", &|| {
        let distances = memorisation::TrainingSet::new(&real)?.distances(&generated, "generated")?;
        Ok(distances.iter().sum::<f64>() / n as f64)
    })?;
    time("swd", &|| swd::distance(&real, &generated, 128, &mut Rng::new(0)))?;
    writeln!(out, "memory at its largest: {} MiB", peak_memory())?;
    Ok(())
}

/// Features like a network's: above 0, correlated through 64 common factors, of unequal spread.
fn made(seed: u64, n: usize, dim: usize, shift: f32) -> Result<Features, gan_metrics::Error> {
    let mut mix = Rng::new(0);
    let mixing: Vec<f32> = (0..64 * dim).map(|_| mix.normal() * 0.1).collect();
    let mut rng = Rng::new(seed);
    let mut values = Vec::with_capacity(n * dim);
    for _ in 0..n {
        let factors: Vec<f32> = (0..64).map(|_| rng.normal()).collect();
        let mut row: Vec<f32> = (0..dim).map(|j| shift + 0.2 + rng.normal() * 0.3 / (1 + j % 7) as f32).collect();
        for (factor, mixing) in factors.iter().zip(mixing.chunks(dim)) {
            row.iter_mut().zip(mixing).for_each(|(x, m)| *x += factor * m);
        }
        values.extend(row.into_iter().map(|x| x.max(0.0)));
    }
    Features::new(values, dim)
}

/// VmHWM in MiB; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
