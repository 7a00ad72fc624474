//! Reduction of thousands of noisy points to a few hundred readable ones: gaps, bins and smoothing.

use super::drawing::Point;

/// Limit beyond which values count as infinite: sums of them would overflow, and no axis can show them with others.
const LARGEST: f64 = 1e38;

/// Returns the pieces of a curve in the order of x, cut where y is not finite. Points without a finite x are dropped.
pub(super) fn pieces(points: &[Point]) -> Vec<Vec<Point>> {
    let mut sorted: Vec<Point> = points.iter().copied().filter(|(x, _)| x.abs() < LARGEST).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let whole = |(_, y): &Point| y.abs() < LARGEST;
    sorted.split(|point| !whole(point)).filter(|piece| !piece.is_empty()).map(<[Point]>::to_vec).collect()
}

/// Groups the points, which are sorted by x, into `columns` equally wide columns between `low` and `high`.
fn columns(points: &[Point], [low, high]: [f64; 2], columns: usize) -> impl Iterator<Item = &[Point]> {
    let width = (high - low).max(f64::MIN_POSITIVE) / columns as f64;
    points.chunk_by(move |a, b| ((a.0 - low) / width).floor() == ((b.0 - low) / width).floor())
}

/// Returns the lowest and highest point of each of `count` columns, which look like the full line on a screen.
pub(super) fn envelope(points: &[Point], range: [f64; 2], count: usize) -> Vec<Point> {
    if points.len() <= 2 * count {
        return points.to_vec();
    }
    let ends = |column: &[Point]| {
        let low = *column.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = *column.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(if low.0 <= high.0 { [low, high] } else { [high, low] })
    };
    columns(points, range, count).filter_map(ends).flatten().collect()
}

/// Returns the trend: at most one mean point per column, then smoothed over about a fortieth of the curve.
pub(super) fn trend(points: &[Point], range: [f64; 2], count: usize) -> Vec<Point> {
    let binned: Vec<Point> = if points.len() <= count {
        points.to_vec()
    } else {
        columns(points, range, count).map(|column| mean(column.iter().copied())).collect()
    };
    let reach = binned.len() / 80;
    // Two box filters make a triangle filter, which leaves no steps where a spike enters or leaves.
    smooth(&smooth(&binned, reach), reach)
}

/// Replaces each y by the mean of those up to `reach` points away, fewer at the ends.
fn smooth(points: &[Point], reach: usize) -> Vec<Point> {
    let window = |at: usize| &points[at.saturating_sub(reach)..(at + reach + 1).min(points.len())];
    points.iter().enumerate().map(|(at, &(x, _))| (x, mean(window(at).iter().copied()).1)).collect()
}

fn mean(points: impl Iterator<Item = Point> + Clone) -> Point {
    let n = points.clone().count().max(1) as f64;
    let (x, y) = points.fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    (x, y)
}

/// Returns the range of y to show: all of it for a short curve; for a long one without the outermost 0.25 % on either
/// side, so that one spike does not flatten everything else.
pub(super) fn central_span(points: &[Point]) -> Option<[f64; 2]> {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    let skip = values.len() / 400;
    Some([*values.get(skip)?, *values.get(values.len().checked_sub(skip + 1)?)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_not_finite_cut_the_curve() {
        let nan = f64::NAN;
        let points = [(3.0, 3.0), (0.0, 0.0), (1.0, 1.0), (2.0, nan), (nan, 5.0), (4.0, f64::INFINITY), (5.0, 1e300)];
        assert_eq!(pieces(&points), [vec![(0.0, 0.0), (1.0, 1.0)], vec![(3.0, 3.0)]]);
        assert!(pieces(&[(0.0, nan)]).is_empty());
    }

    #[test]
    fn an_envelope_keeps_every_extreme() {
        let points: Vec<Point> = (0..10_000).map(|i| (f64::from(i), f64::from(i * 7919 % 1000))).collect();
        let kept = envelope(&points, [0.0, 9_999.0], 100);
        assert!(kept.len() <= 202, "{}", kept.len());
        assert!(kept.iter().all(|point| points.contains(point)));
        assert!(kept.iter().any(|p| p.1 == 0.0) && kept.iter().any(|p| p.1 == 999.0));
        assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn a_trend_removes_noise_and_keeps_level_and_slope() {
        let noisy: Vec<Point> = (0..50_000)
            .map(|i| (f64::from(i), f64::from(i) / 50_000.0 + if i % 2 == 0 { 5.0 } else { -5.0 }))
            .collect();
        let smooth = trend(&noisy, [0.0, 49_999.0], 800);
        assert!(smooth.len() <= 801);
        assert!(smooth.iter().skip(20).rev().skip(20).all(|(x, y)| (y - x / 50_000.0).abs() < 0.2));
        let short: Vec<Point> = noisy[..60].to_vec();
        assert_eq!(trend(&short, [0.0, 59.0], 800), short, "short curves stay as they are");
    }

    #[test]
    fn one_spike_does_not_set_the_span() {
        let mut points: Vec<Point> = (0..1000).map(|i| (f64::from(i), f64::from(i % 10))).collect();
        points[500].1 = 1e9;
        assert_eq!(central_span(&points), Some([0.0, 9.0]));
        assert_eq!(central_span(&points[495..505]), Some([1.0, 1e9]));
        assert_eq!(central_span(&[]), None);
    }
}
