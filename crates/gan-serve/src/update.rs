//! What the page of a run learns while the run grows.
//!
//! An update is one JSON object. `points` are new points of each field; `sections` are sections of the report that have changed, as HTML; `frames`
//! are the pictures of all sequences; `rebuild` says that the page must be made anew, because it has other charts or sections, or because
//! earlier numbers were replaced.

use gan_report::{Metrics, Parts};
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Sections of the report that change while the run trains.
const CHANGING: [&str; 5] = ["missing", "run", "diagnosis", "pictures", "settings"];

/// Returns the sections that may change, with their HTML.
pub(crate) fn changing(parts: &Parts) -> impl Iterator<Item = (String, Value)> {
    let sections = parts.sections.iter().filter(|section| CHANGING.contains(&section.id));
    sections.map(|section| (section.id.to_string(), json!(section.html)))
}

/// Returns the points of all fields from step `from` on: for each field its steps and values.
pub(crate) fn points(metrics: &Metrics, from: f64) -> Value {
    let field = |name: &str| {
        let series = metrics.series(name);
        let new = &series[series.partition_point(|point| point.0 < from)..];
        let steps: Vec<f64> = new.iter().map(|point| point.0).collect();
        // What is no number becomes null.
        let values: Vec<f64> = new.iter().map(|point| point.1).collect();
        (!new.is_empty()).then(|| (name.to_string(), json!([steps, values])))
    };
    metrics.names().filter_map(field).collect::<Map<_, _>>().into()
}

/// Returns a number that differs between pages with other charts, sequences or sections.
pub(crate) fn structure(parts: &Parts) -> u64 {
    let mut hasher = DefaultHasher::new();
    for section in &parts.sections {
        // These come and go without the others.
        if !["missing", "diagnosis"].contains(&section.id) {
            section.id.hash(&mut hasher);
        }
    }
    let charts = parts.data["charts"].as_array().into_iter().flatten();
    for chart in charts {
        let fields: Vec<&Value> =
            chart["curves"].as_array().into_iter().flatten().map(|curve| &curve["field"]).collect();
        (chart["title"].to_string(), json!(fields).to_string()).hash(&mut hasher);
    }
    parts.data["sequences"].as_array().map_or(0, Vec::len).hash(&mut hasher);
    hasher.finish()
}
