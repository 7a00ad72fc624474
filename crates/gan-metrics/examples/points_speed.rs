//! How long metrics of points take: mode coverage, energy distance and its permutation test on made points in the plane.
//!
//! `cargo run --release --workspace --example points_speed [SAMPLES] [ROUNDS]`: the median of the rounds, in seconds.

#![allow(clippy::print_stdout)] // an example says what it finds

use gan_base::Rng;
use gan_metrics::mode_coverage::Modes;
use gan_metrics::{Features, energy};
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let samples = numbers.next().transpose()?.unwrap_or(10_000);
    let rounds = numbers.next().transpose()?.unwrap_or(5);
    let (real, generated) = (normal(samples, "real")?, normal(samples, "generated")?);
    let axis = [-4.0, -2.0, 0.0, 2.0, 4.0];
    let centres: Vec<[f64; 2]> = axis.iter().flat_map(|x| axis.map(|y| [*x, y])).collect();
    let modes = Modes::new(&centres, 0.05)?;
    println!(
        "{samples} real and {samples} generated points, {} threads, medians of {rounds}:",
        rayon::current_num_threads()
    );
    time("mode coverage, 25 modes", rounds, || modes.coverage(&generated).map(|c| c.high_quality()))?;
    time("energy distance", rounds, || energy::distance(&real, &generated))?;
    let mut rng = Rng::new(1);
    time("test, 199 permutations", rounds, || {
        energy::two_sample(&real, &generated, 199, &mut rng).map(|test| test.p_value)
    })?;
    Ok(())
}

/// `[samples, 2]` from N(0, 1).
fn normal(samples: usize, name: &str) -> gan_metrics::Result<Features> {
    let mut rng = Rng::stream(1, name);
    Features::new((0..2 * samples).map(|_| rng.normal()).collect(), 2)
}

fn time(what: &str, rounds: usize, mut work: impl FnMut() -> gan_metrics::Result<f64>) -> gan_metrics::Result<()> {
    let mut times = Vec::new();
    let mut result = 0.0;
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        result = work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    println!("{what:<26} {:>9.4} s   ({result})", times[times.len() / 2]);
    Ok(())
}
