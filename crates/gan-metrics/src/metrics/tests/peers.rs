//! Compares metrics with numpy, scipy, prdc and POT (fixtures by `tests/fixtures/{metrics,points}.py`).

use crate::features::Features;
use crate::metrics::inception_score::Scorer;
use crate::metrics::mode_coverage::Modes;
use crate::metrics::prdc::prdc;
use crate::metrics::{energy, frechet, kid, memorisation, swd};
use crate::moments::Moments;
use serde::Deserialize;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/metrics.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn features(value: &Value) -> Features {
    let values = numbers(&value["values"]).iter().map(|x| *x as f32).collect();
    Features::new(values, value["dim"].as_u64().unwrap() as usize).unwrap()
}

/// Calls `check` for each case with its name, real and generated features, and the whole record.
fn for_each_case(check: impl Fn(&str, &Features, &Features, &Value)) {
    let fixture = fixture();
    let cases = fixture["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 3);
    for (name, case) in cases {
        check(name, &features(&case["real"]), &features(&case["generated"]), case);
    }
}

fn assert_close(found: f64, expected: &Value, tolerance: f64, name: &str) {
    let expected = number(expected);
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1e-3), "{name}: {found}, expected {expected}");
}

#[test]
fn covariances_equal_numpy() {
    for_each_case(|name, real, _, case| {
        let found = Moments::of(real).unwrap().covariance("real").unwrap();
        let expected = numbers(&case["covariance"]);
        assert_eq!(found.ncols() * found.nrows(), expected.len());
        for (a, b) in found.col_iter().flat_map(|column| column.iter()).zip(&expected) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{name}: {a}, expected {b}");
        }
    });
}

#[test]
fn frechet_distances_equal_scipy() {
    for_each_case(|name, real, generated, case| {
        let (real, generated) = (Moments::of(real).unwrap(), Moments::of(generated).unwrap());
        for found in [frechet::distance(&real, &generated), frechet::distance(&generated, &real)] {
            assert_close(found.unwrap().value, &case["frechet"], 1e-9, name);
        }
    });
}

#[test]
fn kernel_distances_over_the_same_subsets_equal_the_definition() {
    for_each_case(|name, real, generated, case| {
        let half = |half: &Value| numbers(half).iter().map(|i| *i as usize).collect::<Vec<_>>();
        let subsets = case["subsets"].as_array().unwrap().iter().map(|s| (half(&s[0]), half(&s[1])));
        let found = kid::over_subsets(real, generated, &subsets.collect::<Vec<_>>()).unwrap();
        assert_close(found.value, &case["kid"]["mean"], 1e-9, name);
        assert_close(found.deviation.unwrap(), &case["kid"]["std"], 1e-9, name);
    });
}

#[test]
fn precision_recall_density_and_coverage_equal_prdc() {
    for_each_case(|name, real, generated, case| {
        for (k, expected) in case["prdc"].as_object().unwrap() {
            let found = prdc(real, generated, k.parse().unwrap()).unwrap();
            // Counts must agree exactly; the last bit of the quotient depends on the division.
            assert_close(found.precision, &expected["precision"], 1e-14, name);
            assert_close(found.recall, &expected["recall"], 1e-14, name);
            assert_close(found.density, &expected["density"], 1e-14, name);
            assert_close(found.coverage, &expected["coverage"], 1e-14, name);
        }
    });
}

#[test]
fn sliced_distances_equal_pot() {
    for_each_case(|name, real, generated, case| {
        let found = swd::along(real, generated, &numbers(&case["directions"])).unwrap();
        assert_close(found, &case["sliced"], 1e-12, name);
    });
}

#[test]
fn nearest_distances_equal_numpy() {
    for_each_case(|name, real, generated, case| {
        let training = memorisation::TrainingSet::new(real).unwrap();
        let found = training.compare(generated, &training.level(Some(generated)).unwrap()).unwrap();
        assert_eq!(found.ratio, 1.0);
        assert_close(found.threshold, &case["nearest"]["percentile"], 1e-12, name);
        let mut distances = found.generated;
        distances.sort_by(f64::total_cmp);
        let middle = distances.len() / 2;
        let median = (distances[(distances.len() - 1) / 2] + distances[middle]) / 2.0;
        assert_close(median, &case["nearest"]["median"], 1e-12, name);
    });
}

#[test]
fn classifier_scores_equal_numpy() {
    let classifier = &fixture()["classifier"];
    let logits = features(&classifier["logits"]);
    let expected = &classifier["scores"].as_array().unwrap()[0];
    assert_eq!(expected["splits"], 1);
    let mut scorer = Scorer::new(logits.dim()).unwrap();
    scorer.push(&logits).unwrap();
    let found = scorer.score().unwrap();
    assert_close(found.value, &expected["mean"], 1e-12, "mean");
    assert_close(found.confident, &expected["sure"], 1e-12, "sure");
    let histogram: Vec<f64> = found.histogram.iter().map(|n| *n as f64).collect();
    assert_eq!(histogram, numbers(&expected["histogram"]));
}

#[derive(Deserialize)]
struct Points {
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
}

fn points() -> Points {
    serde_json::from_str(include_str!("../../../tests/fixtures/points.json")).expect("the fixture's JSON")
}

fn rows(rows: &[Vec<f32>]) -> Features {
    Features::new(rows.concat(), rows[0].len()).unwrap()
}

/// Asserts equality up to the rounding of a sum of a few thousand numbers of about 1 in another order.
#[track_caller]
fn same(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
}

#[test]
fn energy_distance_equals_numpy_and_in_one_dimension_the_square_of_scipy() {
    let cases = points().energy;
    assert_eq!(cases.iter().filter(|case| case.scipy.is_some()).count(), 1);
    for case in cases {
        let (real, generated) = (rows(&case.real), rows(&case.generated));
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
    for case in points().modes {
        let modes = Modes::new(&case.centres, case.sigma).unwrap();
        let samples = rows(&case.samples);
        let coverage = modes.coverage(&samples).unwrap();
        assert_eq!(coverage.counts, case.counts);
        same(coverage.high_quality(), case.high_quality);
        same(coverage.reverse_kl().unwrap(), case.reverse_kl);
    }
}
