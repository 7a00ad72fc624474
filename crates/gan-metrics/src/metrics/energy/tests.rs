//! Compares the energy distance with its formula in plain loops, and runs the permutation test on equal and on different sets.

use super::*;

/// Returns `[n, dim]` samples of N(shift, 1).
fn normal(n: usize, dim: usize, shift: f32, rng: &mut Rng) -> Features {
    Features::new((0..n * dim).map(|_| shift + rng.normal()).collect(), dim).unwrap()
}

fn mean_distance(a: &Features, b: &Features) -> f64 {
    let squared =
        |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>();
    let sum: f64 = a.rows().map(|x| b.rows().map(|y| squared(x, y).sqrt()).sum::<f64>()).sum();
    sum / (a.len() * b.len()) as f64
}

fn by_formula(a: &Features, b: &Features) -> f64 {
    2.0 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b)
}

#[test]
fn the_distance_equals_its_formula_over_one_block_and_many() {
    let mut rng = Rng::new(1);
    for (n, m, dim) in [(1, 1, 1), (5, 3, 2), (256, 256, 3), (300, 601, 2), (257, 1, 40)] {
        let (a, b) = (normal(n, dim, 0.0, &mut rng), normal(m, dim, 0.3, &mut rng));
        let (found, expected) = (distance(&a, &b).unwrap(), by_formula(&a, &b));
        assert!((found - expected).abs() < 1e-12, "{n}, {m}, {dim}: {found}, {expected}");
        assert!((found - distance(&b, &a).unwrap()).abs() < 1e-12);
    }
}

#[test]
fn a_set_has_distance_zero_from_itself_and_two_points_twice_their_distance() {
    let a = normal(500, 3, 0.0, &mut Rng::new(2));
    assert!(distance(&a, &a).unwrap().abs() < 1e-13);
    let point = |x: f32| Features::new(vec![x, 1.0], 2).unwrap();
    assert_eq!(distance(&point(0.0), &point(3.0)).unwrap(), 6.0);
}

#[test]
fn relabelled_distances_equal_those_of_the_relabelled_sets() {
    let mut rng = Rng::new(3);
    let (a, b) = (normal(40, 2, 0.0, &mut rng), normal(25, 2, 1.0, &mut rng));
    let mut both = a.clone();
    both.append(&b).unwrap();
    // More relabellings than one pass processes.
    let orders: Vec<Vec<usize>> = (0..AT_ONCE + 3).map(|_| shuffled(65, &mut rng)).collect();
    let (given, permuted) = relabelled(&a, &b, &orders).unwrap();
    assert!((given - by_formula(&a, &b)).abs() < 1e-12);
    for (order, found) in orders.iter().zip(permuted) {
        let expected = by_formula(&both.pick(&order[..40]), &both.pick(&order[40..]));
        assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    }
}

#[test]
fn different_distributions_are_distinguished_and_equal_ones_are_not() {
    let mut rng = Rng::new(4);
    let real = normal(300, 2, 0.0, &mut rng);
    let other = two_sample(&real, &normal(300, 2, 0.5, &mut rng), 199, &mut rng).unwrap();
    assert_eq!(other.p_value, 1.0 / 200.0);
    assert!(other.distance > 10.0 * other.by_chance && other.distance > 5.0 * other.real_halves, "{other:?}");
    // The expected distance of two equal sets is (1/n + 1/m)·E|X−X'|, and E|X−X'| = √π in the plane.
    let chance = 2.0 / 300.0 * std::f64::consts::PI.sqrt();
    assert!((other.by_chance / chance - 1.0).abs() < 0.15, "{other:?}");
    let mean = |key: fn(&TwoSample) -> f64, all: &[TwoSample]| all.iter().map(key).sum::<f64>() / all.len() as f64;
    let equal: Vec<TwoSample> =
        (0..20).map(|_| two_sample(&real, &normal(300, 2, 0.0, &mut rng), 99, &mut rng).unwrap()).collect();
    // The mean of twenty uniform numbers in (0, 1] is ½ with a standard deviation of 0.065.
    assert!((mean(|t| t.p_value, &equal) - 0.5).abs() < 0.25, "{equal:?}");
    assert!((mean(|t| t.real_halves, &equal) / (2.0 * chance) - 1.0).abs() < 0.25, "{equal:?}");
}

#[test]
fn equal_statistics_are_ties_for_any_order_of_the_sums() {
    // All relabellings of identical samples have distance 0, except for rounding.
    let same = Features::new(vec![0.1; 600], 2).unwrap();
    assert_eq!(two_sample(&same, &same, 50, &mut Rng::new(5)).unwrap().p_value, 1.0);
    // There are only two distinct values, so relabellings that swap equal samples give the same sets.
    let places = Features::new([[0.1f32; 30], [0.7; 30]].concat(), 1).unwrap();
    let apart = Features::new(vec![0.7; 2], 1).unwrap();
    let test = two_sample(&places, &apart, 400, &mut Rng::new(6)).unwrap();
    // The relabelled pair has two samples of the second value, as given, in 32·31 of 62·61 cases, and two of the first, at a larger
    // distance, in 30·29. One of each has a smaller distance.
    assert!((test.p_value - 0.492).abs() < 0.1, "{test:?}");
}

#[test]
fn the_p_value_does_not_depend_on_the_number_of_threads() {
    let mut rng = Rng::new(7);
    let (a, b) = (normal(700, 2, 0.0, &mut rng), normal(500, 2, 0.1, &mut rng));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| two_sample(&a, &b, 50, &mut Rng::new(8)).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn sets_that_cannot_be_compared_are_refused_with_a_message() {
    let set = |values: Vec<f32>, dim| Features::new(values, dim).unwrap();
    let (two, none) = (set(vec![0.0, 1.0], 1), Features::empty(1));
    let message = |result: Result<f64>| result.unwrap_err().to_string();
    assert!(message(distance(&none, &two)).contains("0 real samples are too few, at least 1"));
    assert!(message(distance(&two, &none)).contains("0 generated samples are too few, at least 1"));
    assert!(message(distance(&two, &set(vec![0.0; 2], 2))).contains("1 and 2 numbers a sample"));
    assert!(message(distance(&two, &set(vec![f32::NAN], 1))).contains("number 0 of sample 0 is NaN"));
    let test = |real: &Features, permutations| {
        message(two_sample(real, &two, permutations, &mut Rng::new(1)).map(|t| t.distance))
    };
    assert!(test(&two, 0).contains("found 0 permutations, expected at least 1"));
    assert!(test(&two.first(1), 9).contains("1 real sample is too few, at least 2"));
}
