//! Medians and windows of a noisy curve.

/// Returns the points (step, value) with finite values.
pub(crate) fn finite(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().copied().filter(|point| point.1.is_finite()).collect()
}

/// Returns the last `share` (0 to 1) of `points`, at least one if there is any.
pub(super) fn tail(points: &[(f64, f64)], share: f64) -> &[(f64, f64)] {
    let kept = ((points.len() as f64 * share).ceil() as usize).max(1).min(points.len());
    &points[points.len() - kept..]
}

/// Returns the median; NaN without values.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the median of the values of `points`.
pub(crate) fn level(points: &[(f64, f64)]) -> f64 {
    median(points.iter().map(|point| point.1))
}

/// Returns the mean of the values; NaN without values.
pub(crate) fn mean(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
}

/// Returns the standard deviation of the values.
pub(super) fn spread(points: &[(f64, f64)]) -> f64 {
    let mean = mean(points);
    (points.iter().map(|point| (point.1 - mean).powi(2)).sum::<f64>() / points.len() as f64).sqrt()
}

/// Divides points into at most `count` parts of equal size, and returns the first step and mean value of each.
pub(super) fn buckets(points: &[(f64, f64)], count: usize) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(count).max(1);
    points.chunks(size).map(|part| (part[0].0, mean(part))).collect()
}

/// Direction of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Up by a tenth or more, almost monotonically.
    Up,
    /// Down in the same way.
    Down,
    /// Neither.
    Level,
}

/// Returns the direction over eight parts: at least six of the seven steps between them in one direction, and a change
/// of a tenth of the level.
pub(super) fn way(points: &[(f64, f64)]) -> Way {
    let parts = buckets(points, 8);
    let rising = parts.windows(2).filter(|pair| pair[1].1 > pair[0].1).count();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Way::Level };
    let change = last.1 - first.1;
    let enough = change.abs() > 0.1 * first.1.abs().max(last.1.abs());
    match rising {
        _ if parts.len() < 8 || !enough => Way::Level,
        6.. if change > 0.0 => Way::Up,
        ..=1 if change < 0.0 => Way::Down,
        _ => Way::Level,
    }
}
