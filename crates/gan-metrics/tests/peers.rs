//! Compares metrics with numpy, scipy, prdc and POT (fixture by tests/fixtures/metrics.py).

use gan_metrics::Features;
use gan_metrics::metrics::inception_score::{Scorer, Scoring};
use gan_metrics::metrics::prdc::prdc;
use gan_metrics::metrics::swd::{self, Directions};
use gan_metrics::metrics::{frechet, kid, memorisation};
use gan_metrics::moments::Moments;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/metrics.json")).unwrap()
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
        let found = Moments::of(real).unwrap().covariance().unwrap();
        let expected = numbers(&case["covariance"]);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{name}: {a}, expected {b}");
        }
    });
}

#[test]
fn frechet_distances_equal_scipy() {
    for_each_case(|name, real, generated, case| {
        let (real, generated) = (Moments::of(real).unwrap(), Moments::of(generated).unwrap());
        let found = frechet::distance(&real, &generated).unwrap().distance;
        let prepared = frechet::Prepared::new(&real).unwrap().distance(&generated).unwrap().distance;
        assert_close(found, &case["frechet"], 1e-9, name);
        assert_close(prepared, &case["frechet"], 1e-9, name);
    });
}

#[test]
fn kernel_distances_over_the_same_subsets_equal_the_definition() {
    for_each_case(|name, real, generated, case| {
        let half = |half: &Value| numbers(half).iter().map(|i| *i as usize).collect::<Vec<_>>();
        let subsets = case["subsets"].as_array().unwrap().iter().map(|s| (half(&s[0]), half(&s[1])));
        let found = kid::over_subsets(real, generated, &subsets.collect::<Vec<_>>()).unwrap();
        assert_close(found.mean, &case["kid"]["mean"], 1e-9, name);
        assert_close(found.std, &case["kid"]["std"], 1e-9, name);
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
        let lines = Directions::new(numbers(&case["directions"]), real.dim()).unwrap();
        assert_close(swd::distance(real, generated, &lines).unwrap(), &case["sliced"], 1e-12, name);
    });
}

#[test]
fn nearest_distances_equal_numpy() {
    for_each_case(|name, real, generated, case| {
        let found = memorisation::memorisation(generated, generated, real).unwrap();
        assert_eq!(found.ratio, 1.0);
        assert_close(found.threshold, &case["nearest"]["percentile"], 1e-12, name);
        let mut distances = found.generated.distances;
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
    for expected in classifier["scores"].as_array().unwrap() {
        let splits = expected["splits"].as_u64().unwrap() as usize;
        let mut scorer = Scorer::new(logits.dim(), Scoring { splits, sure: 0.9 }).unwrap();
        scorer.push(&logits).unwrap();
        let found = scorer.score().unwrap();
        assert_close(found.mean, &expected["mean"], 1e-12, "mean");
        assert_close(found.std, &expected["std"], 1e-12, "std");
        assert_close(found.confidence, &expected["confidence"], 1e-12, "confidence");
        assert_close(found.sure, &expected["sure"], 1e-12, "sure");
        let histogram: Vec<f64> = found.histogram.iter().map(|n| *n as f64).collect();
        assert_eq!(histogram, numbers(&expected["histogram"]));
    }
}
