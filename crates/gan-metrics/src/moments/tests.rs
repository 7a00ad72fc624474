//! Compares moments with plain loops; batches and statistics files.

use super::*;
use crate::metrics::frechet;
use gan_base::Rng;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Returns an archive of several files, with sizes of 64 bits if `long`.
fn archive_of(contents: &[(&str, &[u8])], long: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(long);
    for (name, content) in contents {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

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

fn flat(moments: &Moments) -> Vec<f64> {
    let covariance = moments.covariance("given").unwrap();
    covariance.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect()
}

fn assert_close(found: &Moments, (mean, covariance): &(Vec<f64>, Vec<f64>), tolerance: f64) {
    for (a, b) in found.mean().iter().zip(mean) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "mean {a}, expected {b}");
    }
    for (a, b) in flat(found).iter().zip(covariance) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "covariance {a}, expected {b}");
    }
}

#[test]
fn moments_equal_plain_loops_at_once_and_in_batches() {
    for (n, dim) in [(2, 1), (37, 5), (2500, 9), (3, 17)] {
        let features = made(n, dim, 3.0);
        let expected = reference(&features);
        assert_close(&Moments::of(&features).unwrap(), &expected, 1e-11);
        let mut batched = Moments::new(dim);
        for batch in features.values().chunks(7 * dim) {
            let batch = Features::new(batch.to_vec(), dim).unwrap();
            batched.push(&batch).unwrap();
        }
        assert_eq!(batched.count(), n as u64);
        assert_close(&batched, &expected, 1e-11);
    }
}

#[test]
fn a_large_mean_does_not_reduce_precision() {
    // f32 represents 4096 + k/1024 exactly, so both sets have the same covariance.
    let near: Vec<f32> = (0..30_000).map(|i| ((i * 7919) % 1000) as f32 / 1024.0).collect();
    let far = near.iter().map(|x| x + 4096.0).collect();
    let near = flat(&Moments::of(&Features::new(near, 3).unwrap()).unwrap());
    let far = flat(&Moments::of(&Features::new(far, 3).unwrap()).unwrap());
    assert!(near.iter().zip(&far).all(|(a, b)| (a - b).abs() < 1e-12 * near[0]), "{near:?} {far:?}");
}

#[test]
fn empty_batches_change_nothing() {
    let mut moments = Moments::of(&made(9, 4, 0.0)).unwrap();
    let before = moments.to_bytes().unwrap();
    moments.push(&Features::empty(4)).unwrap();
    assert_eq!(moments.to_bytes().unwrap(), before);
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
    assert!(moments.push(&made(5, 4, 0.0)).unwrap_err().to_string().contains("4 and 3 numbers a sample"));
    let holed = Features::new(vec![0.0, f32::NAN, 0.0], 3).unwrap();
    assert!(moments.push(&holed).unwrap_err().to_string().contains("number 1 of sample 0 is NaN"));
    moments.push(&made(1, 3, 0.0)).unwrap();
    assert!(moments.covariance("given").unwrap_err().to_string().contains("at least 2"));
}

fn npy(descr: &str, values: &[f64]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({},), }}\n", values.len());
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn random(seed: u64) -> Moments {
    let mut rng = Rng::new(seed);
    Moments::of(&Features::new((0..300).map(|_| rng.normal() + seed as f32).collect(), 3).unwrap()).unwrap()
}

#[test]
fn the_distance_to_statistics_is_that_to_the_samples_they_are_of() {
    let (real, generated) = (random(1), random(2));
    let covariance = flat(&real);
    let bytes = archive_of(&[("mu.npy", &npy("<f8", real.mean())), ("sigma.npy", &npy("<f8", &covariance))], false);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let read = Moments::read_statistics(file.path()).unwrap();
    let of = |real: &Moments| frechet::distance(real, &generated).unwrap().value;
    assert!((of(&read) - of(&real)).abs() < 1e-9 * of(&real), "{} and {}", of(&read), of(&real));
}

#[test]
fn other_files_are_refused() {
    let mean = npy("<f8", &[0.0, 1.0]);
    for (files, words) in [
        (vec![("mu.npy", mean.clone())], "holds no sigma.npy"),
        (vec![("mu.npy", mean.clone()), ("sigma.npy", npy("<f8", &[1.0; 3]))], "mu has 2 numbers and sigma 3"),
        (vec![("mu.npy", npy("<f4", &[0.0])), ("sigma.npy", mean.clone())], "mu.npy is not an array of float64"),
        (vec![("mu.npy", mean.clone()), ("sigma.npy", npy("<f8", &[-1.0; 4]))], "negative variances"),
        (vec![("mu.npy", npy("<f8", &[f64::NAN])), ("sigma.npy", mean)], "not finite"),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let problem = Moments::from_npz(&archive_of(&files, false)).unwrap_err();
        assert!(problem.contains(words), "{problem}");
    }
    assert!(Moments::from_npz(b"no archive").is_err());
}
