//! Moments of real samples' features, as a file of the cache contains them.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_metrics::features::Features;
use gan_metrics::metrics::frechet;
use gan_metrics::moments::Moments;

/// Reads moments and computes their Fréchet distance to themselves.
pub const TARGET: Target = Target {
    name: "moments",
    body,
    seeds,
    tokens: TOKENS,
    // Matrix products allocate 64 MiB for packed blocks, whatever the size of the matrices.
    memory: Memory { mebibytes: 80, per_byte: 64 },
};

const TOKENS: &[&str] =
    &["\"count\":\"", "\"F64\"", "\"F32\"", "\"mean\":", "\"scatter\":", "\"shape\":[", "\"data_offsets\":[", "0", "1"];

/// Maximum number of dimensions, because distances in more dimensions take too long.
const DIMENSIONS: usize = 16;

fn body(input: &[u8]) -> Outcome {
    let moments = Moments::from_bytes(&place::safetensors(input))?;
    if moments.dim() > DIMENSIONS {
        return Ok(());
    }
    frechet::distance(&moments, &moments)?;
    let mut merged = moments.clone();
    merged.merge(&moments)?;
    merged.covariance()?;
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let of = |dim: usize| {
        let values = (0..dim * 20).map(|i| ((i * 31 + 7) % 17) as f32).collect();
        let features = Features::new(values, dim).expect("whole rows");
        Moments::of(&features).and_then(|moments| moments.to_bytes()).expect("moments can be written")
    };
    vec![("one", of(1)), ("four", of(4)), ("parts", place::safetensors_parts(&of(2)))]
}
