//! Grouping of curves into charts, their captions, and the numbers that the script draws.

use super::{Page, reduce};
use crate::Metrics;
use serde_json::{Value, json};

/// Curves that share an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chart {
    pub title: String,
    /// Unit of the axis.
    pub unit: String,
    /// Explanation of the chart.
    pub caption: String,
    pub curves: Vec<Curve>,
    /// Values with a guide line.
    pub guides: Vec<(f64, &'static str)>,
    /// Range of the vertical axis.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    /// Name in the legend.
    pub name: String,
    /// Name in metrics.jsonl.
    pub field: String,
    pub points: Vec<(f64, f64)>,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// 0 to 1.
    Unit,
    /// The range of the values.
    Free,
}

/// A predefined chart, with its fields and their names in the legend.
struct Known {
    title: &'static str,
    unit: &'static str,
    caption: &'static str,
    fields: &'static [(&'static str, &'static str)],
    guides: &'static [(f64, &'static str)],
}

const KNOWN: [Known; 5] = [
    Known {
        title: "Losses",
        unit: "loss",
        caption: "Each player's loss depends on the other's play, so neither has to fall: steady is good, one that runs \
                  away is not.",
        fields: &[("loss_d", "D"), ("loss_g", "G")],
        guides: &[],
    },
    Known {
        title: "What D says",
        unit: "mean probability of real",
        caption: "D's mean answer to real samples, D(x), and to generated ones, D(G(z)), before and after its own update. \
                  The gap between the last two is what one update teaches D.",
        fields: &[("d_real", "D(x)"), ("d_fake_before", "D(G(z)) before"), ("d_fake_after", "D(G(z)) after")],
        guides: &[(0.5, "0.5: cannot tell")],
    },
    Known {
        title: "Accuracy of D",
        unit: "share judged correctly",
        caption: "At 0.5 D guesses; close to 1 it is rarely wrong, and G may learn little from it.",
        fields: &[("accuracy_d", "D")],
        guides: &[(0.5, "0.5: chance")],
    },
    Known {
        title: "Gradient norms",
        unit: "L2 norm",
        caption: "How strongly each network is pulled. Watch for jumps, and for a fall towards nothing.",
        fields: &[("grad_norm_d", "D"), ("grad_norm_g", "G")],
        guides: &[],
    },
    Known {
        title: "Speed",
        unit: "images per second",
        caption: "Real samples seen a second, drawing and saving included.",
        fields: &[("images_per_s", "images/s")],
        guides: &[],
    },
];

/// Fields that count steps rather than measure anything.
const COUNTERS: [&str; 1] = ["epoch"];

/// Returns every field with at least one number, in charts: the known ones first, then one for each other field.
pub(super) fn charts(page: &Page) -> Vec<Chart> {
    let metrics = &page.metrics;
    let known = KNOWN.iter().map(|known| known.chart(metrics));
    let others = unknown(metrics).map(|field| Chart {
        title: page.called(field),
        unit: field.into(),
        caption: String::new(),
        curves: vec![curve(metrics, field, field)],
        guides: vec![],
        span: Span::Free,
    });
    known.chain(others).filter(|chart| !chart.curves.is_empty()).collect()
}

/// Returns fields that no known chart shows, by name.
pub(super) fn unknown(metrics: &Metrics) -> impl Iterator<Item = &str> {
    let known = |name: &str| KNOWN.iter().flat_map(|known| known.fields).any(|(field, _)| *field == name);
    metrics.names().filter(move |name| !known(name) && !COUNTERS.contains(name) && has_numbers(metrics, name))
}

impl Known {
    fn chart(&self, metrics: &Metrics) -> Chart {
        let there = self.fields.iter().filter(|(field, _)| has_numbers(metrics, field));
        let curves: Vec<Curve> = there.map(|(field, name)| curve(metrics, field, name)).collect();
        // A critic's scores have the names of probabilities but no bounds.
        let mut values = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        let bounded = values.all(|y| !y.is_finite() || (0.0..=1.0).contains(&y));
        let span = if bounded && !self.guides.is_empty() { Span::Unit } else { Span::Free };
        let guides = if span == Span::Unit { self.guides.to_vec() } else { vec![] };
        let [title, unit, caption] = [self.title, self.unit, self.caption].map(String::from);
        Chart { title, unit, caption, curves, guides, span }
    }
}

fn has_numbers(metrics: &Metrics, field: &str) -> bool {
    metrics.series(field).iter().any(|point| point.1.is_finite())
}

fn curve(metrics: &Metrics, field: &str, name: &str) -> Curve {
    Curve { name: name.into(), field: field.into(), points: metrics.series(field).to_vec() }
}

/// Returns the data of a chart for the script.
pub(super) fn data(chart: &Chart) -> Value {
    let guide = |(value, label): &(f64, &str)| json!({ "value": value, "label": label });
    json!({
        "title": chart.title,
        "unit": chart.unit,
        "span": if chart.span == Span::Unit { json!([0, 1]) } else { Value::Null },
        "guides": chart.guides.iter().map(guide).collect::<Vec<_>>(),
        "curves": chart.curves.iter().map(curve_data).collect::<Vec<_>>(),
    })
}

fn curve_data(curve: &Curve) -> Value {
    let short = reduce::reduced(&curve.points);
    let split = |points: &[(f64, f64)]| -> [Value; 2] {
        [points.iter().map(|p| number(p.0)).collect(), points.iter().map(|p| number(p.1)).collect()]
    };
    let [x, y] = split(&short.points);
    let [mean_x, mean_y] = split(&short.means);
    json!({ "name": curve.name, "x": x, "y": y, "meanX": mean_x, "meanY": mean_y, "count": curve.points.len() })
}

/// Formats a value with six digits, which is more than a screen shows; `null` if it is not a number. Steps stay whole.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return json!(value as i64);
    }
    if !value.is_finite() {
        return Value::Null;
    }
    json!(format!("{value:.5e}").parse::<f64>().unwrap_or(value))
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
        let charts = charts(&Page { metrics, names, ..Page::default() });
        let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["Losses", "What D says", "Distance"]);
        assert_eq!(charts[1].span, Span::Unit);
        assert_eq!(
            data(&charts[0])["curves"][1],
            json!({ "name": "G", "x": [1, 2], "y": [null, 2], "meanX": [], "meanY": [], "count": 2 })
        );
    }

    #[test]
    fn a_critics_scores_keep_their_own_axis() {
        let metrics = metrics("{\"step\":1,\"d_real\":-7.5}\n{\"step\":2,\"d_real\":0.5}\n");
        let charts = charts(&Page { metrics, ..Page::default() });
        assert_eq!((charts[0].span, charts[0].guides.len()), (Span::Free, 0));
    }

    #[test]
    fn numbers_are_short_and_gaps_are_null() {
        let written: Vec<String> =
            [0.1 + 0.2, 1234567.0, 1e-9 / 3.0, f64::NAN, -2.5].map(|v| number(v).to_string()).to_vec();
        assert_eq!(written, ["0.3", "1234567", "3.33333e-10", "null", "-2.5"]);
    }
}
