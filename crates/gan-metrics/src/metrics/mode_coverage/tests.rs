//! Mode coverage of synthetic samples with known results.

use super::*;

const CORNERS: [[f64; 2]; 4] = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]];

fn corners() -> Modes {
    Modes::new(&CORNERS, 0.1).unwrap()
}

fn points(points: &[[f32; 2]]) -> Features {
    Features::new(points.concat(), 2).unwrap()
}

/// Computes Σ p·ln(p/q) term by term.
fn by_formula(p: &[f64], q: &[f64]) -> f64 {
    (0..p.len()).map(|i| if p[i] > 0.0 { p[i] * (p[i] / q[i]).ln() } else { 0.0 }).sum()
}

#[test]
fn only_samples_within_three_standard_deviations_count() {
    // Two samples near the first corner, one just within 3σ of the second, one just outside of 3σ of the fourth, and one in the center.
    let samples = points(&[[-1.0, -1.0], [-0.9, -1.1], [-1.0, 1.299], [1.0, 1.301], [0.0, 0.0]]);
    let coverage = corners().coverage(&samples).unwrap();
    assert_eq!((&coverage.counts[..], coverage.samples), (&[2, 1, 0, 0][..], 5));
    assert_eq!((coverage.found(), coverage.high_quality()), (2, 0.6));
    let (p, q) = ([2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0], [0.25; 4]);
    assert!((coverage.reverse_kl().unwrap() - by_formula(&p, &q)).abs() < 1e-15);
}

#[test]
fn distances_are_euclidean() {
    // The offset of 0.25 is within 3σ in each coordinate, but the distance is 0.354.
    assert_eq!(corners().coverage(&points(&[[1.25, 1.25]])).unwrap().counts, [0; 4]);
    assert_eq!(corners().coverage(&points(&[[1.2, 1.2]])).unwrap().counts, [0, 0, 0, 1]);
}

#[test]
fn divergence_is_zero_for_uniform_coverage_and_maximal_for_one_mode() {
    let even: Vec<[f32; 2]> = CORNERS.iter().map(|c| c.map(|x| x as f32)).collect();
    let coverage = corners().coverage(&points(&even)).unwrap();
    assert_eq!((coverage.found(), coverage.reverse_kl()), (4, Some(0.0)));
    let one = corners().coverage(&points(&[[1.0, 1.0]; 7])).unwrap();
    assert_eq!((one.found(), one.high_quality()), (1, 1.0));
    assert!((one.reverse_kl().unwrap() - 4f64.ln()).abs() < 1e-15);
}

#[test]
fn divergence_is_undefined_without_a_sample_near_a_mode() {
    let coverage = corners().coverage(&points(&[[0.0, 0.0]])).unwrap();
    assert_eq!((coverage.found(), coverage.high_quality()), (0, 0.0));
    assert_eq!(coverage.reverse_kl(), None);
}

#[test]
fn samples_that_cannot_be_counted_are_refused_with_a_message() {
    let says = |error: Error, words: &str| assert!(error.to_string().contains(words), "{words:?} is not in {error}");
    says(Modes::new(&[[0.0; 2]; 0], 1.0).unwrap_err(), "one or more centres");
    says(Modes::new(&[vec![0.0], vec![0.0, 1.0]], 1.0).unwrap_err(), "as many finite coordinates");
    says(Modes::new(&[[f64::NAN]], 1.0).unwrap_err(), "finite coordinates");
    for sigma in [0.0, -1.0, f64::NAN] {
        says(Modes::new(&CORNERS, sigma).unwrap_err(), "expected one above 0");
    }
    says(corners().coverage(&Features::empty(2)).unwrap_err(), "0 generated samples are too few");
    says(corners().coverage(&Features::new(vec![0.0; 3], 3).unwrap()).unwrap_err(), "found 3 coordinates, expected 2");
    says(corners().coverage(&points(&[[f32::NAN, 0.0]])).unwrap_err(), "NaN");
}
