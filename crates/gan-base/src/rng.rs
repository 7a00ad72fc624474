//! Random numbers: seeded, forkable, serializable, the same on every device.
//!
//! Candle's CPU device cannot be seeded, so [`Rng`] draws every random number of this project on the host. Streams for different purposes
//! are forked by name, so that drawing more numbers from one (for dropout masks) never shifts another (the order of the data).

use rand::{Rng as _, SeedableRng, seq::SliceRandom};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// Seeded generator of random numbers. Its whole state is serializable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// Returns a generator whose stream is determined by `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns the stream called `name` of `seed`, independent of the streams of other names.
    pub fn stream(seed: u64, name: &str) -> Self {
        Self::numbered(seed, name, 0)
    }

    /// Returns the `index`-th stream called `name` of `seed`, without drawing the ones before it.
    pub fn numbered(seed: u64, name: &str, index: u64) -> Self {
        let hash = name.bytes().fold(mix(seed), |h, b| mix(h ^ u64::from(b)));
        Self::new(mix(hash ^ mix(index)))
    }

    /// Draws a number uniformly from `[0, n)`. `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    /// Draws a number uniformly from `[low, high)`.
    #[inline]
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Draws a number from N(0, 1).
    pub fn normal(&mut self) -> f32 {
        self.0.sample(StandardNormal)
    }

    /// Puts `items` into a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): every input bit reaches every output bit.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_survives_serialisation() {
        let mut rng = Rng::new(7);
        rng.normal();
        let text = serde_json::to_string(&rng).unwrap();
        let mut copy: Rng = serde_json::from_str(&text).unwrap();
        let draw = |r: &mut Rng| (0..100).map(|_| r.normal().to_bits()).collect::<Vec<_>>();
        assert_eq!(draw(&mut rng), draw(&mut copy));
    }

    #[test]
    fn streams_differ_by_name_index_and_seed() {
        let first = |mut r: Rng| r.normal().to_bits();
        let streams =
            [Rng::stream(1, "a"), Rng::stream(1, "b"), Rng::stream(2, "a"), Rng::numbered(1, "a", 1), Rng::new(1)];
        let mut seen: Vec<u32> = streams.into_iter().map(first).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::new(3);
        let n = 200_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = f64::from(rng.normal());
            (sum, squares) = (sum + x, squares + x * x);
        }
        assert!((sum / f64::from(n)).abs() < 0.01);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.02);
        let uniform: Vec<f32> = (0..10_000).map(|_| rng.uniform(-1.0, 1.0)).collect();
        assert!(uniform.iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(uniform.iter().sum::<f32>().abs() / 10_000.0 < 0.03);
    }
}
