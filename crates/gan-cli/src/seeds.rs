//! Lists of seeds on the command line, and the sample of each.

use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::Latent;

/// Maximum number of seeds in a list.
const MOST_SEEDS: usize = 10_000;

/// Seeds of samples, as in `1-64,100`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds(pub Vec<u64>);

/// Parses seeds and ranges of seeds.
pub fn parse(text: &str) -> Result<Seeds, String> {
    let expected = || format!("expected up to {MOST_SEEDS} seeds and ranges of seeds, as in 1-64,100");
    let mut seeds = vec![];
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().ok().filter(|seed| *seed <= crate::args::MOST);
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(expected()) };
        if last < first || (last - first) as usize >= MOST_SEEDS - seeds.len() {
            return Err(expected());
        }
        seeds.extend(first..=last);
    }
    Ok(Seeds(seeds))
}

/// Returns the first latent vector of each seed, as `gan generate --seed` draws it: `[seeds, latent]`.
pub fn latents(seeds: &Seeds, latent: &Latent, within: Option<f64>, device: &Device) -> Result<Tensor> {
    let one = |seed: &u64| {
        let mut rng = Rng::stream(*seed, "generate");
        match within {
            Some(most) => latent.sample_within(most, 1, &mut rng, device),
            None => latent.sample(1, &mut rng, device),
        }
    };
    let all = seeds.0.iter().map(one).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&all, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_read() {
        assert_eq!(parse("7"), Ok(Seeds(vec![7])));
        assert_eq!(parse("1-3, 10,5"), Ok(Seeds(vec![1, 2, 3, 10, 5])));
        assert_eq!(parse("0-9999").map(|seeds| seeds.0.len()), Ok(10_000));
        for wrong in ["", "1-", "-3", "3-1", "a", "1,,2", "0-10000", "1,0-9999", "0-18446744073709551615"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
