//! Compares results with plain loops over all pairs, in cases that are difficult to screen: ties, copies, distant and tiny values.

use super::*;
use gan_base::Rng;

/// Returns rows on a coarse lattice, so that many distances are equal, times `scale`, plus `shift`.
fn made(seed: u64, n: usize, dim: usize, scale: f32, shift: f32) -> Features {
    let mut rng = Rng::new(seed);
    Features::new((0..n * dim).map(|_| shift + scale * rng.below(4) as f32).collect(), dim).unwrap()
}

fn reference(of: &Features, among: &Features, k: usize, others: bool) -> Vec<Vec<(f64, usize)>> {
    let row = |(i, x)| {
        let kept = among.rows().enumerate().filter(|(j, _)| !others || *j != i);
        let mut all: Vec<(f64, usize)> = kept.map(|(j, y)| (squared(x, y), j)).collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all.truncate(k);
        all
    };
    of.rows().enumerate().map(row).collect()
}

#[test]
fn nearest_neighbors_equal_plain_loops() {
    // More rows than a tile has, more columns than a tile has, narrow and wide features, large values, and values near f32's smallest.
    let cases = [
        (600, 40, 3, 1.0, 0.0),
        (30, 2100, 5, 1.0, 1e4),
        (50, 60, 700, 1e-3, 7.0),
        (40, 40, 2, 1e-22, 0.0),
        (9, 9, 4, 1e18, 0.0),
    ];
    for (n, m, dim, scale, shift) in cases {
        let (a, b) = (made(1, n, dim, scale, shift), made(2, m, dim, scale, shift));
        for k in [1, 5] {
            let among: Vec<_> = nearest_among(&a, &b, k).into_iter().map(|nearest| nearest.found).collect();
            assert_eq!(among, reference(&a, &b, k, false), "{n} x {m} x {dim}");
            let others: Vec<_> = nearest_others(&b, k).into_iter().map(|nearest| nearest.found).collect();
            assert_eq!(others, reference(&b, &b, k, true), "{m} x {dim}");
        }
    }
}

#[test]
fn bounds_contain_the_distance() {
    let mut rng = Rng::new(5);
    for dim in [1, 7, 300] {
        let mut set = |n| Features::new((0..n * dim).map(|_| rng.normal() * 3.0 + 20.0).collect(), dim).unwrap();
        let (a, b) = (set(20), set(30));
        let frame = Frame::of(&[&a, &b]);
        let (rows, columns) = (frame.place(&a), frame.place(&b));
        Pairs::new(&frame, &rows, &columns).sweep(&mut [(); 20], |(), strip| {
            for pair in strip.bounds() {
                let near = strip.exact(pair.column) * frame.scale * frame.scale;
                assert!(
                    f64::from(pair.least) < near && near < f64::from(pair.most),
                    "{near} {} {}",
                    pair.least,
                    pair.most
                );
                assert!(f64::from(pair.most - pair.least) < 0.01 * (1.0 + near), "too wide to be of use");
            }
        });
    }
}

#[test]
fn a_pair_at_the_limit_is_not_within_it() {
    let (a, b) = (made(3, 40, 6, 0.1, 5.0), made(4, 50, 6, 0.1, 5.0));
    let frame = Frame::of(&[&a, &b]);
    let (rows, columns) = (frame.place(&a), frame.place(&b));
    Pairs::new(&frame, &rows, &columns).sweep(&mut [(); 40], |(), strip| {
        let limit = strip.exact(7);
        let within = strip.bounds().filter(|pair| strip.is_within(*pair, Limit::new(&frame, limit))).count();
        assert_eq!(within, (0..50).filter(|column| strip.exact(*column) < limit).count());
    });
}

#[test]
fn squared_norms_equal_a_plain_loop() {
    for dim in [1, 8, 19] {
        let set = made(1, 2, dim, 1.0, 0.5);
        let plain: f64 = set.row(0).iter().zip(set.row(1)).map(|(x, y)| f64::from(x - y).powi(2)).sum();
        assert_eq!(squared(set.row(0), set.row(1)), plain);
    }
}
