//! Batch norm beside other ranks.

use super::*;
use crate::ranks::Sums;
use crate::testing::test_device;
use candle_core::Var;
use std::sync::Arc;

/// Another rank that always has the same numbers.
#[derive(Debug)]
struct Twin;

impl Sums for Twin {
    fn sum(&self, values: &mut [f64]) {
        values.iter_mut().for_each(|value| *value *= 2.0);
    }
}

/// y, mean, variance, and the gradients of x, γ and β.
fn found(norm: impl Fn(&[Var; 3]) -> Result<(Tensor, BatchStatistics)>) -> Result<(Vec<Vec<f64>>, usize)> {
    let made = |n: usize, shift: f64| (0..n).map(|i| ((i * i) as f64 * 0.37 + shift).sin()).collect::<Vec<_>>();
    let var = |shape: &[usize], shift| {
        Var::from_tensor(&Tensor::from_vec(made(shape.iter().product(), shift), shape, test_device())?)
    };
    let vars = [var(&[3, 2, 2, 2], 0.1)?, var(&[2], 0.5)?, var(&[2], 0.9)?];
    let (y, statistics) = norm(&vars)?;
    let weights = Tensor::from_vec(made(24, 2.0), y.shape(), test_device())?;
    let grads = (&y * weights)?.sum_all()?.backward()?;
    let mut all = vec![y, statistics.mean, statistics.variance];
    all.extend(vars.iter().filter_map(|var| grads.get(var).cloned()));
    let all = all.iter().map(|t| t.flatten_all()?.to_vec1()).collect::<Result<Vec<Vec<f64>>>>()?;
    Ok((all, statistics.count))
}

/// Beside a rank with the same numbers nothing changes but how many they are, for the kernel as for candle's operations.
#[test]
fn a_twin_changes_nothing_but_the_count() -> Result<()> {
    let twin: Ranks = Some(Arc::new(Twin));
    let (alone, count) = found(|[x, gamma, beta]| batch_norm_train(x, gamma, beta, 1e-3, &None))?;
    assert_eq!((alone.len(), count), (6, 12));
    for (ours, count) in [
        found(|[x, gamma, beta]| batch_norm_train(x, gamma, beta, 1e-3, &twin))?,
        found(|[x, gamma, beta]| composed(x, gamma, beta, 1e-3, &twin))?,
    ] {
        assert_eq!(count, 24);
        for (ours, alone) in ours.iter().flatten().zip(alone.iter().flatten()) {
            assert!((ours - alone).abs() < 1e-12, "{ours} against {alone}");
        }
    }
    Ok(())
}
