//! The charts of the page, and their numbers for the script, with long curves thinned.

use super::Page;
use crate::Metrics;
use crate::charts::{Chart, Curve, LOSSES, SPEED, curve, has_numbers};
use serde_json::{Value, json};

/// Fields that count steps rather than measure anything.
const COUNTERS: [&str; 1] = ["epoch"];

/// Returns every field with at least one number, in charts: the known ones first, then one for each other field.
pub(super) fn charts(page: &Page) -> Vec<Chart> {
    let metrics = &page.metrics;
    let known = LOSSES.iter().chain([&SPEED]).map(|known| known.chart(metrics));
    let others = unknown(metrics).map(|field| Chart {
        title: page.called(field),
        unit: field.into(),
        curves: vec![curve(metrics, field, field)],
        ..Chart::default()
    });
    known.chain(others).filter(|chart| !chart.curves.is_empty()).collect()
}

/// Returns fields that no known chart shows, by name.
pub(super) fn unknown(metrics: &Metrics) -> impl Iterator<Item = &str> {
    let known =
        |name: &str| LOSSES.iter().chain([&SPEED]).flat_map(|known| known.fields).any(|(field, _)| *field == name);
    metrics.names().filter(move |name| !known(name) && !COUNTERS.contains(name) && has_numbers(metrics, name))
}

/// Returns the data of a chart for the script, with long curves thinned.
pub fn data(chart: &Chart) -> Value {
    let guide = |(value, label): &(f64, String)| json!({ "value": value, "label": label });
    json!({
        "title": chart.title,
        "unit": chart.unit,
        "span": chart.y_range.map(|range| range.map(number)),
        "guides": chart.guides.iter().map(guide).collect::<Vec<_>>(),
        "curves": chart.curves.iter().map(curve_data).collect::<Vec<_>>(),
    })
}

fn curve_data(curve: &Curve) -> Value {
    let short = reduced(&curve.points);
    let split = |points: &[(f64, f64)]| -> [Value; 2] {
        [points.iter().map(|p| number(p.0)).collect(), points.iter().map(|p| number(p.1)).collect()]
    };
    let [x, y] = split(&short.points);
    let [mean_x, mean_y] = split(&short.means);
    json!({ "name": curve.name, "field": curve.field, "x": x, "y": y, "meanX": mean_x, "meanY": mean_y, "count": curve.points.len() })
}

/// Returns a value with six digits, which is more than a screen shows; `null` if it is not a number. Steps stay whole.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return json!(value as i64);
    }
    if !value.is_finite() {
        return Value::Null;
    }
    json!(format!("{value:.5e}").parse::<f64>().unwrap_or(value))
}

/// Approximate maximum number of points of a curve on the page.
const MOST_POINTS: usize = 2000;

/// A curve for the page.
#[derive(Clone, Debug, PartialEq)]
struct Reduced {
    /// (step, value) by ascending step; NaN for a gap. These are original values at their own steps.
    points: Vec<(f64, f64)>,
    /// (step, local mean) of a reduced curve, for its smoothed line. Empty for a complete one.
    means: Vec<(f64, f64)>,
}

/// Divides `points` into buckets of equal count and keeps the lowest and the highest of each, in their order; a gap stays a gap. The first
/// and the last point are always kept. A curve of up to [`MOST_POINTS`] does not change.
fn reduced(points: &[(f64, f64)]) -> Reduced {
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
    let finite = || (0..bucket.len()).filter(|at| bucket[*at].1.is_finite());
    let by_value = |a: &usize, b: &usize| bucket[*a].1.total_cmp(&bucket[*b].1);
    let gap = bucket.iter().position(|point| !point.1.is_finite());
    let mut chosen: Vec<usize> =
        [finite().min_by(by_value), finite().max_by(by_value), gap].into_iter().flatten().collect();
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

    fn metrics(lines: &str) -> Metrics {
        Metrics::of_lines(lines.as_bytes()).0
    }

    #[test]
    fn every_field_with_a_number_has_a_chart() {
        let metrics = metrics(concat!(
            "{\"step\":1,\"epoch\":0,\"loss_d\":1.5,\"loss_g\":null,\"d_real\":0.4,\"fid\":80.5,\"note\":\"x\"}\n",
            "{\"step\":2,\"epoch\":0,\"loss_d\":1.25,\"loss_g\":2,\"d_real\":0.5}\n",
        ));
        let names = [("fid".to_string(), "Distance".to_string())].into();
        let charts = charts(&Page { metrics: metrics.into(), names, ..Page::default() });
        let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["Losses", "What D says", "Distance"]);
        assert_eq!(charts[1].y_range, Some([0.0, 1.0]));
        assert_eq!(
            data(&charts[0])["curves"][1],
            json!({ "name": "G", "field": "loss_g", "x": [1, 2], "y": [null, 2], "meanX": [], "meanY": [], "count": 2 })
        );
    }

    #[test]
    fn a_critics_scores_keep_their_own_axis() {
        let metrics = metrics("{\"step\":1,\"d_real\":-7.5}\n{\"step\":2,\"d_real\":0.5}\n");
        let charts = charts(&Page { metrics: metrics.into(), ..Page::default() });
        assert_eq!((charts[0].y_range, charts[0].guides.len()), (None, 0));
    }

    #[test]
    fn numbers_are_short_and_gaps_are_null() {
        let written: Vec<String> =
            [0.1 + 0.2, 1234567.0, 1e-9 / 3.0, f64::NAN, -2.5].map(|v| number(v).to_string()).to_vec();
        assert_eq!(written, ["0.3", "1234567", "3.33333e-10", "null", "-2.5"]);
    }

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
