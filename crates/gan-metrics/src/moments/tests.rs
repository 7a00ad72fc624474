//! Compares moments with plain loops; streaming, merging and storing.

use super::*;
use gan_base::Rng;

fn made(n: usize, dim: usize, shift: f32) -> Features {
    let mut rng = Rng::new(n as u64);
    Features::new((0..n * dim).map(|at| shift + rng.normal() * (1 + at % dim) as f32).collect(), dim).unwrap()
}

/// Computes numpy.cov in plain loops.
fn reference(features: &Features) -> (Vec<f64>, Vec<f64>) {
    let (n, dim) = (features.len() as f64, features.dim());
    let x = |row: &[f32], i: usize| f64::from(row[i]);
    let mean: Vec<f64> = (0..dim).map(|i| features.rows().map(|row| x(row, i)).sum::<f64>() / n).collect();
    let entry = |i: usize, j: usize| features.rows().map(|r| (x(r, i) - mean[i]) * (x(r, j) - mean[j])).sum::<f64>();
    let covariance = (0..dim * dim).map(|at| entry(at / dim, at % dim) / (n - 1.0)).collect();
    (mean, covariance)
}

fn assert_close(found: &Moments, (mean, covariance): &(Vec<f64>, Vec<f64>), tolerance: f64) {
    for (a, b) in found.mean().iter().zip(mean) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "mean {a}, expected {b}");
    }
    for (a, b) in found.covariance().unwrap().iter().zip(covariance) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "covariance {a}, expected {b}");
    }
}

#[test]
fn moments_equal_plain_loops_at_once_in_batches_and_merged() {
    for (n, dim) in [(2, 1), (37, 5), (2500, 9), (3, 17)] {
        let features = made(n, dim, 3.0);
        let expected = reference(&features);
        assert_close(&Moments::of(&features).unwrap(), &expected, 1e-11);
        let (mut batched, mut merged) = (Moments::new(dim), Moments::new(dim));
        for batch in features.values().chunks(7 * dim) {
            let batch = Features::new(batch.to_vec(), dim).unwrap();
            batched.push(&batch).unwrap();
            merged.merge(&Moments::of(&batch).unwrap()).unwrap();
        }
        for moments in [&batched, &merged] {
            assert_eq!(moments.count(), n as u64);
            assert_close(moments, &expected, 1e-11);
        }
    }
}

#[test]
fn a_large_mean_does_not_reduce_precision() {
    // f32 represents 4096 + k/1024 exactly, so both sets have the same covariance.
    let near: Vec<f32> = (0..30_000).map(|i| ((i * 7919) % 1000) as f32 / 1024.0).collect();
    let far = near.iter().map(|x| x + 4096.0).collect();
    let near = Moments::of(&Features::new(near, 3).unwrap()).unwrap().covariance().unwrap();
    let far = Moments::of(&Features::new(far, 3).unwrap()).unwrap().covariance().unwrap();
    assert!(near.iter().zip(&far).all(|(a, b)| (a - b).abs() < 1e-12 * near[0]), "{near:?} {far:?}");
}

#[test]
fn empty_batches_change_nothing() {
    let mut moments = Moments::of(&made(9, 4, 0.0)).unwrap();
    let before = moments.to_bytes().unwrap();
    moments.push(&Features::empty(4)).unwrap();
    moments.merge(&Moments::new(4)).unwrap();
    assert_eq!(moments.to_bytes().unwrap(), before);
}

#[test]
fn moments_survive_storage_and_damage_is_reported() {
    let moments = Moments::of(&made(50, 6, 1.0)).unwrap();
    let bytes = moments.to_bytes().unwrap();
    let back = Moments::from_bytes(&bytes).unwrap();
    assert_eq!((back.count(), back.mean()), (50, moments.mean()));
    assert_eq!(back.covariance().unwrap(), moments.covariance().unwrap());
    assert_eq!(back.to_bytes().unwrap(), bytes);
    for damaged in [&bytes[..bytes.len() - 8], b"no such file at all", &[]] {
        assert!(Moments::from_bytes(damaged).unwrap_err().to_string().contains("stored moments"));
    }
    let mut infinite = bytes.clone();
    let end = infinite.len();
    infinite[end - 8..].copy_from_slice(&f64::INFINITY.to_le_bytes());
    assert!(Moments::from_bytes(&infinite).unwrap_err().to_string().contains("not finite"));
}

#[test]
fn moments_do_not_depend_on_the_number_of_threads() {
    let features = made(300, 70, 0.5);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Moments::of(&features).unwrap().to_bytes().unwrap())
    };
    assert_eq!(with(1), with(5));
}

#[test]
fn invalid_input_is_refused() {
    let mut moments = Moments::new(3);
    assert!(moments.push(&made(5, 4, 0.0)).unwrap_err().to_string().contains("4 numbers a sample"));
    let holed = Features::new(vec![0.0, f32::NAN, 0.0], 3).unwrap();
    assert!(moments.push(&holed).unwrap_err().to_string().contains("number 1 of sample 0 is NaN"));
    assert!(moments.merge(&Moments::new(2)).is_err());
    moments.push(&made(1, 3, 0.0)).unwrap();
    assert!(moments.covariance().unwrap_err().to_string().contains("at least 2"));
}
