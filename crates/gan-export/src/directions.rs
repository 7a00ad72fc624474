//! Directions in the latent space along which the generator's samples change most, after GANSpace (Härkönen et al. 2020, arXiv:2004.02546).
//!
//! GANSpace takes the principal components of the first layer's activations over many random latent vectors, and finds the latent directions that
//! correspond to them by regression. Both steps are one here: with x(z) the activations before the second layer with a kernel, B the matrix of the
//! best linear approximation x ≈ Bz has the directions as its right singular vectors. Random latent numbers are independent with the same
//! variance σ², so that B = E[x zᵀ] / σ², and the directions are the eigenvectors of M Mᵀ with M = E[z xᵀ].
//!
//! The expectation is taken over pairs of z and −z, in whose difference the mean of x cancels exactly, also that of each class.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use gan_base::Rng;
use gan_core::{Distribution, ForwardContext, Generator, Latent, LayeredGenerator, samples_at_once};
use serde::Serialize;

/// Number of pairs of latent vectors over which the activations are taken.
const PAIRS: usize = 2048;

/// Maximum size of latent vectors: the matrix of products has its square.
const LARGEST: usize = 2048;

/// Power iterations, each over all directions at once. Those with nearly equal shares may still be mixed afterwards, which changes little.
const ITERATIONS: usize = 100;

/// A direction in the latent space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Direction {
    /// A step of one standard deviation of the latent distribution: orthogonal to all others, `[latent]`.
    pub vector: Vec<f32>,
    /// What it explains of the variance of x that is linear in z, from 0 to 1.
    pub share: f64,
}

/// Returns the `count` directions that change the samples most, or all if the latent space has fewer dimensions. None if it has more dimensions
/// than can be computed here.
///
/// # Errors
/// If the activations do not fit into memory, and from candle.
pub fn principal(generator: &LayeredGenerator, latent: &Latent, count: usize) -> Result<Vec<Direction>> {
    if latent.dim > LARGEST {
        return Ok(vec![]);
    }
    let products = products(generator, latent)?;
    let symmetric = products.matmul(&products.t()?)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let total: f64 = (0..latent.dim).map(|i| symmetric[i][i]).sum();
    let deviation = match latent.distribution {
        Distribution::Normal => 1.0,
        Distribution::Uniform => 3f64.sqrt().recip(),
    };
    let found = eigenvectors(&symmetric, count.min(latent.dim));
    let direction = |(value, vector): (f64, Vec<f64>)| Direction {
        vector: vector.iter().map(|x| (x * deviation) as f32).collect(),
        share: if total > 0.0 { value / total } else { 0.0 },
    };
    Ok(found.into_iter().map(direction).collect())
}

/// Returns E[z xᵀ] `[latent, features]`, up to a factor.
fn products(generator: &LayeredGenerator, latent: &Latent) -> Result<Tensor> {
    let stages = generator.network().stages()?;
    let mut rng = Rng::stream(0, "directions");
    let at_once = samples_at_once(generator)?;
    let mut sum: Option<Tensor> = None;
    let mut done = 0;
    while done < PAIRS {
        let n = at_once.min(PAIRS - done);
        let z = latent.sample(n, &mut rng, &Device::Cpu)?;
        let turn = |known: usize| Tensor::from_iter((done..done + n).map(|i| (i % known) as u32), &Device::Cpu);
        let classes = generator.classes().map(turn).transpose()?;
        let features = |z: &Tensor| {
            let mut pass = ForwardContext::eval().of_classes(classes.as_ref());
            let x = match stages.count() {
                0 => generator.forward(z, &mut pass)?,
                _ => stages.first(&z.reshape([&[n], generator.network().input()].concat())?, &mut pass)?,
            };
            x.detach().flatten_from(1)
        };
        let odd = (features(&z)? - features(&z.neg()?)?)?;
        let part = z.t()?.matmul(&(odd / PAIRS as f64)?)?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
        done += n;
    }
    Ok(sum.unwrap_or(Tensor::zeros((latent.dim, 1), DType::F32, &Device::Cpu)?))
}

/// Returns the `count` largest eigenvalues of a symmetric, positive semidefinite matrix with their unit eigenvectors, the largest first, by subspace
/// iteration. The largest component of each vector is positive.
fn eigenvectors(matrix: &[Vec<f64>], count: usize) -> Vec<(f64, Vec<f64>)> {
    let n = matrix.len();
    let times = |v: &[f64]| -> Vec<f64> { matrix.iter().map(|row| dot(row, v)).collect() };
    let mut rng = Rng::stream(0, "eigenvectors");
    // A few more than needed make the needed ones converge faster.
    let width = (count + 6).min(n);
    let mut basis: Vec<Vec<f64>> = (0..width).map(|_| (0..n).map(|_| f64::from(rng.normal())).collect()).collect();
    orthonormalize(&mut basis);
    for _ in 0..ITERATIONS {
        basis = basis.iter().map(|v| times(v)).collect();
        orthonormalize(&mut basis);
    }
    let mut found: Vec<(f64, Vec<f64>)> = basis.into_iter().map(|v| (dot(&v, &times(&v)).max(0.0), v)).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(count);
    for (_, vector) in &mut found {
        let largest = vector.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
        if largest < 0.0 {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    found
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Makes vectors orthonormal (Gram–Schmidt, twice for accuracy). One that depends on those before it is replaced by a unit vector of an axis.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(i);
        let vector = &mut rest[0];
        for axis in 0..=vector.len() {
            let start = dot(vector, vector).sqrt();
            for _ in 0..2 {
                for other in before.iter() {
                    let along = dot(vector, other);
                    vector.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
                }
            }
            let norm = dot(vector, vector).sqrt();
            if norm > 1e-9 * start && norm > 0.0 {
                vector.iter_mut().for_each(|x| *x /= norm);
                break;
            }
            vector.fill(0.0);
            if let Some(x) = vector.get_mut(axis) {
                *x = 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_core::{Init, Layer};

    #[test]
    fn eigenvectors_are_those_of_the_matrix() {
        // Eigenvalues 7, 4 and 1 of a matrix that was rotated by hand: columns (2, 2, 1)/3, (−2, 1, 2)/3, (1, −2, 2)/3.
        let columns = [[2.0, 2.0, 1.0], [-2.0, 1.0, 2.0], [1.0, -2.0, 2.0]].map(|v| v.map(|x: f64| x / 3.0));
        let entry = |i: usize, j: usize| (0..3).map(|k| [7.0, 4.0, 1.0][k] * columns[k][i] * columns[k][j]).sum();
        let matrix: Vec<Vec<f64>> = (0..3).map(|i| (0..3).map(|j| entry(i, j)).collect()).collect();
        let found = eigenvectors(&matrix, 2);
        for ((value, vector), (expected, column)) in found.iter().zip([(7.0, columns[0]), (4.0, columns[1])]) {
            assert!((value - expected).abs() < 1e-9, "{value}");
            assert!((dot(vector, &column).abs() - 1.0).abs() < 1e-9, "{vector:?}");
        }
    }

    #[test]
    fn a_matrix_of_low_rank_still_gives_orthonormal_vectors() {
        let found = eigenvectors(&vec![vec![1.0; 4]; 4], 4);
        for (i, (_, a)) in found.iter().enumerate() {
            for (j, (_, b)) in found.iter().enumerate() {
                assert!((dot(a, b) - f64::from(i == j)).abs() < 1e-9, "{i} {j}");
            }
        }
        assert!((found[0].0 - 4.0).abs() < 1e-9 && found[1].0.abs() < 1e-9);
    }

    #[test]
    fn directions_of_a_linear_layer_are_its_singular_vectors() -> Result<()> {
        let layers: Vec<Layer> =
            serde_json::from_str(r#"[{"dense": 3, "bias": false}, "tanh", {"dense": 2}]"#).expect("a layer list");
        let latent = Latent { dim: 3, distribution: Distribution::Normal, truncation: None };
        let mut rng = Rng::new(1);
        let generator = LayeredGenerator::new(&latent, &[3], &layers, Init::Glorot, &mut rng, &Device::Cpu)?;
        // Small weights leave tanh linear; the second input has by far the largest effect, the third the smallest.
        let kernel = Tensor::new(&[[0.002f32, 0.03, 0.0], [0.0, 0.04, 0.0], [0.004, 0.0, 0.0001]], &Device::Cpu)?;
        generator.params()[0].set(&kernel)?;
        let found = principal(&generator, &latent, 10)?;
        assert_eq!(found.len(), 3);
        assert!(found[0].vector[1] > 0.99 && found[1].vector[0].abs() > 0.98, "{found:?}");
        assert!(found[0].share > 0.95 && found[2].share < 0.01, "{found:?}");
        Ok(())
    }
}
