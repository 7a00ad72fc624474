//! How many modes a run on the ring or the grid reached, by PacGAN's protocol, beside what real points give; and the energy
//! distance to the real points.
//!
//! `cargo run --release --workspace --example mode_coverage RUN…`: 2,500 samples of each run's generator.

#![allow(clippy::print_stdout)] // an example says what it finds

use candle_core::Device;
use gan_core::gan::samples;
use gan_core::{Rng, weights};
use gan_data::points::Shape;
use gan_data::{Dataset, Points};
use gan_metrics::modes::POINTS;
use gan_metrics::{Coverage, Features, Modes, energy};
use gan_train::{data, layering};
use std::error::Error;
use std::path::Path;

/// Of the test's real points, and of the latent vectors: not the seed of any preset.
const SEED: u64 = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    std::env::args().skip(1).try_for_each(|run| judge(Path::new(&run)))
}

fn judge(run: &Path) -> Result<(), Box<dyn Error>> {
    let config = layering::read(layering::from_file(&run.join("config.toml"))?)?;
    let shape = data::points(&config.data)?;
    let modes = Modes::new(&shape.modes(), shape.sigma().unwrap_or(0.0))?;
    let real = real(&shape)?;
    let generated = generated(&run.join("generator.safetensors"), &shape)?;
    show(run, "real", &modes.coverage(&real)?);
    show(run, "generated", &modes.coverage(&generated)?);
    let test = energy::two_sample(&real, &generated, energy::PERMUTATIONS, &mut Rng::stream(SEED, "permutations"))?;
    println!(
        "{} energy distance {:.5}, by chance {:.5}, p = {}",
        run.display(),
        test.distance,
        test.by_chance,
        test.p_value
    );
    Ok(())
}

fn show(run: &Path, what: &str, coverage: &Coverage) {
    println!(
        "{} {what:<9} {} of {} modes, {:.2} % high quality, reverse KL {:.4}, Jensen–Shannon {:.4}",
        run.display(),
        coverage.found(),
        coverage.modes(),
        100.0 * coverage.high_quality(),
        coverage.reverse_kl.unwrap_or(f64::NAN),
        coverage.jensen_shannon.unwrap_or(f64::NAN)
    );
}

/// `[POINTS, 2]` that no run was trained on, in their own units.
fn real(shape: &Shape) -> Result<Features, Box<dyn Error>> {
    let points = Points::new(shape, SEED)?;
    let mut values = vec![0.0; POINTS * points.pixels()];
    for (index, point) in values.chunks_exact_mut(points.pixels()).enumerate() {
        points.write(index, point)?;
    }
    Ok(Features::new(shape.units().restored(&values), shape.dimensions())?)
}

/// `[POINTS, 2]` of the generator in a weight file, in their own units.
fn generated(file: &Path, shape: &Shape) -> Result<Features, Box<dyn Error>> {
    let (description, generator) = weights::read_generator(file, &Device::Cpu)?;
    let z = description.latent.sample(POINTS, &mut Rng::stream(SEED, "generate"), &Device::Cpu)?;
    let made: Vec<f32> = samples(&generator, &z, None)?.flatten_all()?.to_vec1()?;
    Ok(Features::new(shape.units().restored(&made), shape.dimensions())?)
}
