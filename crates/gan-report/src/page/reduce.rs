//! Reduction of a long curve to fewer points, without losing outliers.

/// Approximate maximum number of points of a curve on the page.
pub(super) const MOST_POINTS: usize = 2000;

/// A curve for the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reduced {
    /// (step, value) by ascending step; NaN for a gap. These are original values at their own steps.
    pub points: Vec<(f64, f64)>,
    /// (step, local mean) of a reduced curve, for its smoothed line. Empty for a complete one.
    pub means: Vec<(f64, f64)>,
}

/// Divides `points` into buckets of equal count and keeps the lowest and the highest of each, in their order; a gap stays a gap. The first
/// and the last point are always kept. A curve of up to [`MOST_POINTS`] does not change.
pub(super) fn reduced(points: &[(f64, f64)]) -> Reduced {
    if points.len() <= MOST_POINTS {
        return Reduced { points: points.to_vec(), means: Vec::new() };
    }
    let size = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept: Vec<(f64, f64)> = points.chunks(size).flat_map(extremes).collect();
    for (at, end) in [(0, points[0]), (kept.len(), points[points.len() - 1])] {
        if kept.iter().all(|point| point.0 != end.0) {
            kept.insert(if at == 0 { 0 } else { kept.len() }, end);
        }
    }
    Reduced { points: kept, means: points.chunks(size).filter_map(mean).collect() }
}

/// Returns the lowest, the highest and the first gap of a bucket, by step.
fn extremes(bucket: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = || bucket.iter().enumerate().filter(|(_, point)| point.1.is_finite());
    let by_value = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
    let ends = [finite().min_by(by_value), finite().max_by(by_value)].into_iter().flatten().map(|(at, _)| at);
    let gap = bucket.iter().position(|point| !point.1.is_finite());
    let mut chosen: Vec<usize> = ends.chain(gap).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|at| bucket[at]).collect()
}

/// Returns mean step and mean value of a bucket's numbers.
fn mean(bucket: &[(f64, f64)]) -> Option<(f64, f64)> {
    let finite: Vec<_> = bucket.iter().filter(|point| point.1.is_finite()).collect();
    let n = finite.len() as f64;
    let sum = finite.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (n > 0.0).then(|| (sum.0 / n, sum.1 / n))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize) -> Vec<(f64, f64)> {
        (1..=n).map(|i| (i as f64, (i as f64 / 500.0).sin())).collect()
    }

    #[test]
    fn a_short_curve_stays_as_it_is() {
        let points = wave(MOST_POINTS);
        assert_eq!(reduced(&points), Reduced { points, means: vec![] });
    }

    #[test]
    fn spikes_gaps_and_ends_survive() {
        let mut points = wave(50_001);
        (points[31_337].1, points[12_345].1, points[40_000].1) = (99.0, -99.0, f64::NAN);
        let short = reduced(&points);
        assert!(short.points.len() <= MOST_POINTS + 3, "{}", short.points.len());
        assert!(short.points.contains(&(31_338.0, 99.0)) && short.points.contains(&(12_346.0, -99.0)));
        assert!(short.points.iter().any(|point| point.0 == 40_001.0 && point.1.is_nan()));
        assert_eq!((short.points[0], *short.points.last().unwrap()), (points[0], points[50_000]));
        assert!(short.points.windows(2).all(|pair| pair[0].0 < pair[1].0), "not in order");
        assert!(short.points.iter().all(|point| point.1.is_nan() || points.contains(point)));
    }

    #[test]
    fn means_are_those_of_the_whole_curve() {
        let line: Vec<(f64, f64)> = (0..20_000).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        let means = reduced(&line).means;
        assert!(means.len() <= MOST_POINTS / 2);
        assert!(means.iter().all(|(x, y)| (y - 2.0 * x).abs() < 1e-6));
        assert_eq!(means[0], (9.5, 19.0));
    }
}
