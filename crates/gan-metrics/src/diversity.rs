//! Whether samples differ from each other as much as real ones do: the simplest sign of mode collapse.

use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use gan_core::Rng;

/// Pairs that the mean is taken over.
const PAIRS: usize = 20_000;

/// Mean distance of two generated samples over that of two real ones; pairs drawn by `rng`. 1 is as diverse as real, 0 all the same.
///
/// # Errors
/// [`Error::TooFew`] below two samples, [`Error::Mismatch`] where widths differ, [`Error::Values`] where all real samples are the same.
pub fn relative(real: &Features, generated: &Features, rng: &mut Rng) -> Result<f64> {
    same_width(real, generated)?;
    let (made, own) = (mean_distance(generated, "generated", rng)?, mean_distance(real, "real", rng)?);
    if own == 0.0 {
        let problem = "they are all the same: there is no diversity to compare with".into();
        return Err(Error::Values { what: "real samples".into(), problem });
    }
    Ok(made / own)
}

/// Mean Euclidean distance of two different samples.
fn mean_distance(set: &Features, what: &'static str, rng: &mut Rng) -> Result<f64> {
    let n = set.len();
    if n < 2 {
        let advice = "two samples make a pair";
        return Err(Error::TooFew { metric: "diversity", what, found: n, needed: 2, advice });
    }
    set.check_finite(what)?;
    let pair = |(i, j): (usize, usize)| {
        let squares = set.row(i).iter().zip(set.row(j)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    if n * (n - 1) / 2 <= PAIRS {
        let all = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(pair).sum::<f64>();
        return Ok(all / (n * (n - 1) / 2) as f64);
    }
    let mut draw = || {
        let (i, j) = (rng.below(n), rng.below(n - 1));
        (i, j + usize::from(j >= i))
    };
    Ok((0..PAIRS).map(|_| pair(draw())).sum::<f64>() / PAIRS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(n: usize, scale: f32, seed: u64) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * 4).map(|_| scale * rng.normal()).collect(), 4).unwrap()
    }

    #[test]
    fn it_is_a_ratio_of_mean_distances() {
        let rng = &mut Rng::new(9);
        let (real, made) = (Features::new(vec![0.0, 2.0, 4.0], 1), Features::new(vec![0.0, 1.0], 1));
        assert!((relative(&real.unwrap(), &made.unwrap(), rng).unwrap() - 1.0 / (8.0 / 3.0)).abs() < 1e-12);
        let half = relative(&drawn(3000, 1.0, 1), &drawn(3000, 0.5, 2), rng).unwrap();
        assert!((half - 0.5).abs() < 0.02, "{half}");
        let same = Features::new(vec![3.0; 400], 4).unwrap();
        assert_eq!(relative(&drawn(100, 1.0, 1), &same, rng).unwrap(), 0.0);
        assert!(relative(&same, &drawn(100, 1.0, 1), rng).unwrap_err().to_string().contains("all the same"));
    }
}
