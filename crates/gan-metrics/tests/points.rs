//! Compares mode coverage and energy distance with numpy and scipy (fixture by `fixtures/points.py`).

use gan_metrics::Features;
use gan_metrics::metrics::energy;
use gan_metrics::metrics::mode_coverage::Modes;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    energy: Vec<EnergyCase>,
    modes: Vec<ModesCase>,
}

#[derive(Deserialize)]
struct EnergyCase {
    real: Vec<Vec<f32>>,
    generated: Vec<Vec<f32>>,
    distance: f64,
    scipy: Option<f64>,
    orders: Vec<Vec<usize>>,
    relabelled: Vec<f64>,
}

#[derive(Deserialize)]
struct ModesCase {
    centres: Vec<Vec<f64>>,
    sigma: f64,
    samples: Vec<Vec<f32>>,
    counts: Vec<usize>,
    high_quality: f64,
    reverse_kl: f64,
    jensen_shannon: f64,
    shares: Vec<f64>,
    reverse_kl_of_shares: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/points.json")).expect("the fixture's JSON")
}

fn features(rows: &[Vec<f32>]) -> Features {
    Features::new(rows.concat(), rows[0].len()).unwrap()
}

/// Asserts equality up to the rounding of a sum of a few thousand numbers of about 1 in another order.
#[track_caller]
fn same(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
}

#[test]
fn energy_distance_equals_numpy_and_in_one_dimension_the_square_of_scipy() {
    let cases = fixture().energy;
    assert_eq!(cases.iter().filter(|case| case.scipy.is_some()).count(), 1);
    for case in cases {
        let (real, generated) = (features(&case.real), features(&case.generated));
        let (given, permuted) = energy::relabelled(&real, &generated, &case.orders).unwrap();
        same(given, case.distance);
        same(energy::distance(&real, &generated).unwrap(), case.distance);
        case.scipy.into_iter().for_each(|root| same(given.sqrt(), root));
        assert_eq!(permuted.len(), case.relabelled.len());
        permuted.iter().zip(&case.relabelled).for_each(|(found, expected)| same(*found, *expected));
    }
}

#[test]
fn mode_coverage_equals_scipy() {
    for case in fixture().modes {
        let modes = Modes::new(&case.centres, case.sigma).unwrap();
        let samples = features(&case.samples);
        let coverage = modes.coverage(&samples).unwrap();
        assert_eq!(coverage.counts, case.counts);
        same(coverage.high_quality(), case.high_quality);
        same(coverage.reverse_kl.unwrap(), case.reverse_kl);
        same(coverage.jensen_shannon.unwrap(), case.jensen_shannon);
        let weighted = modes.with_shares(&case.shares).unwrap().coverage(&samples).unwrap();
        same(weighted.reverse_kl.unwrap(), case.reverse_kl_of_shares);
    }
}
