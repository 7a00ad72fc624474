//! How fast images are embedded: `embed_speed digits|texture|WEIGHTS [IMAGES] [SIDE]`.
//!
//! WEIGHTS are Inception's. Prints images a second, the best of three rounds, after one that warms up.

#![allow(clippy::print_stdout)] // an example says what it finds

use candle_core::Device;
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_metrics::embed::{Embedder, Inception, Layered, Texture};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let which = words.first().ok_or("embed_speed digits|texture|WEIGHTS [IMAGES] [SIDE]")?;
    let number = |at: usize, default: usize| words.get(at).map_or(Ok(default), |word| word.parse());
    let (count, side) = (number(1, 64)?, number(2, 28)?);
    let start = Instant::now();
    let (network, channels): (Box<dyn Embedder>, usize) = match which.as_str() {
        "digits" => (Box::new(Layered::digits()?), 1),
        "texture" => (Box::new(Texture::new([3, side, side])?), 3),
        path => (Box::new(Inception::read(Path::new(path))?), 3),
    };
    let read = start.elapsed().as_secs_f64();
    let images = Rng::new(1).uniform_tensor(-1.0, 1.0, (count, channels, side, side), &Device::Cpu)?;
    network.embed(&images)?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        network.embed(&images)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{}: {:.1} images/s, read in {read:.2} s", network.info().card.name, count as f64 / best);
    Ok(())
}
