//! 2 to 6 runs side by side: curves, samples, and the settings that differ.

use super::blocking;
use crate::Shared;
use crate::address::{encoded, link};
use crate::document::{Document, no_run, too_many};
use crate::index::Run;
use crate::live::{Watch, follow};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gan_report::shell::text;
use gan_report::{Chart, Curve, Metrics, Page, Sequence};
use gan_train::{Plan, layering};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Fewest and most runs.
const RUNS: std::ops::RangeInclusive<usize> = 2..=6;

/// What the curves are drawn over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Steps,
    Images,
    Minutes,
}

impl Over {
    const ALL: [Self; 3] = [Self::Steps, Self::Images, Self::Minutes];

    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Steps => ["steps", "step"],
            Self::Images => ["images", "image"],
            Self::Minutes => ["minutes", "minute"],
        }
    }
}

/// A run that is compared.
struct Compared {
    run: Arc<Run>,
    page: Page,
    /// Real samples of a step, if this version understands the settings.
    images: Option<f64>,
}

/// Answers with the page. `run` occurs once for each run, `over` is what the curves are drawn over.
pub(super) async fn page(State(shared): State<Arc<Shared>>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let runtime = Handle::current();
    blocking(move || {
        let values = |key: &str| query.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect();
        let mut ids: Vec<String> = values("run");
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        if !RUNS.contains(&ids.len()) {
            let problem = format!("{} runs are named, expected 2 to 6: choose them in the list at /\n", ids.len());
            return (StatusCode::BAD_REQUEST, problem).into_response();
        }
        let over: Vec<String> = values("over");
        let over = over.first().and_then(|word| Over::ALL.into_iter().find(|over| over.words()[0] == word));
        let mut compared = vec![];
        for id in &ids {
            let Some(run) = shared.index.run(id) else { return no_run(id) };
            let Some(watch) = shared.watches.watch(&run) else { return too_many() };
            compared.push(Compared::of(run, &watch));
            runtime.spawn(follow(shared.clone(), watch));
        }
        response(&compared, over.unwrap_or(Over::Steps))
    })
    .await
}

fn response(compared: &[Compared], over: Over) -> Response {
    let names: Vec<&str> = compared.iter().map(|one| one.run.name.as_str()).collect();
    let page = Page { charts: charts(compared, over), sequences: samples(compared), ..Page::default() };
    let address = |picture: &Path| {
        let run = compared.iter().find(|one| picture.starts_with(&one.run.path));
        run.map_or_else(String::new, |one| link(&one.run.id, picture))
    };
    let parts = page.parts(&address);
    let [_, name] = over.words();
    let mut data = parts.data.clone();
    data["axis"] = json!({ "name": name, "least": if over == Over::Minutes { 0.01 } else { 2.0 } });
    let contents = format!("{}<li><a href=\"#settings\">Settings</a></li>", parts.contents());
    Document {
        title: "Runs compared",
        lead: &names.join(", "),
        above: "<p class=\"above\"><a href=\"/\">All runs</a></p>",
        contents: &contents,
        main: &[choice(compared, over), parts.main(), settings(compared)].concat(),
        data: &data,
        script: "compare.js",
    }
    .response()
}

/// Returns links to the same runs over something else.
fn choice(compared: &[Compared], over: Over) -> String {
    let runs: String = compared.iter().map(|one| format!("run={}&amp;", encoded(&one.run.id))).collect();
    let link = |other: Over| {
        let [words, _] = other.words();
        let current = if other == over { " aria-current=\"true\"" } else { "" };
        format!("<a href=\"/compare?{runs}over={words}\"{current}>{words}</a>")
    };
    format!(
        "<nav class=\"choice\" aria-label=\"What the curves are drawn over\">Curves over {}</nav>\n",
        Over::ALL.map(link).join(" ")
    )
}

impl Compared {
    fn of(run: Arc<Run>, watch: &Watch) -> Self {
        let images = watch.plan().map(images_per_step);
        Self { run, page: watch.page(), images }
    }

    /// Returns the points of a curve over something else; none if that is not known.
    fn over(&self, points: Vec<(f64, f64)>, over: Over) -> Vec<(f64, f64)> {
        match (over, self.images) {
            (Over::Steps, _) => points,
            (Over::Images, Some(images)) => points.into_iter().map(|(step, value)| (step * images, value)).collect(),
            (Over::Minutes, Some(images)) => {
                let clock = clock(&self.page.metrics, images);
                points.into_iter().filter_map(|(step, value)| Some((minutes(&clock, step)?, value))).collect()
            }
            (Over::Images | Over::Minutes, None) => vec![],
        }
    }
}

/// Returns the number of real samples of a step.
fn images_per_step(plan: &Plan) -> f64 {
    let train = &plan.config().train;
    train.batch as f64 * train.d_steps as f64
}

/// Returns the minutes that were spent at each logged step, from the logged speeds.
fn clock(metrics: &Metrics, images: f64) -> Vec<(f64, f64)> {
    let mut before = 0.0;
    let mut spent = 0.0;
    let logged = metrics.series("images_per_s").iter().filter(|(_, speed)| *speed > 0.0);
    logged
        .map(|(step, speed)| {
            spent += (step - before) * images / speed / 60.0;
            before = *step;
            (*step, spent)
        })
        .collect()
}

/// Returns the minutes at `step`, between two logged steps in proportion.
fn minutes(clock: &[(f64, f64)], step: f64) -> Option<f64> {
    let after = clock.partition_point(|(logged, _)| *logged < step);
    let (to, end) = *clock.get(after).or(clock.last())?;
    let (from, start) = if after == 0 { (0.0, 0.0) } else { clock[after - 1] };
    let part = if to > from { ((step - from) / (to - from)).min(1.0) } else { 1.0 };
    Some(start + part * (end - start))
}

/// Returns a chart for each curve of a report, in which each run is a curve.
fn charts(compared: &[Compared], over: Over) -> Vec<Chart> {
    let mut charts: Vec<(String, Chart)> = vec![];
    for one in compared {
        for mut chart in one.page.charts() {
            let curves = std::mem::take(&mut chart.curves);
            let is_only = curves.len() == 1;
            for Curve { name, field, points } in curves {
                let points = one.over(points, over);
                if points.is_empty() {
                    continue;
                }
                let at = charts.iter().position(|(known, _)| *known == field).unwrap_or_else(|| {
                    let title = if is_only { chart.title.clone() } else { format!("{}: {name}", chart.title) };
                    charts.push((field.clone(), Chart { title, ..chart.clone() }));
                    charts.len() - 1
                });
                charts[at].1.curves.push(Curve { name: one.run.name.clone(), field, points });
            }
        }
    }
    charts.into_iter().map(|(_, chart)| chart).collect()
}

/// Returns the samples of each run.
fn samples(compared: &[Compared]) -> Vec<Sequence> {
    let samples = |one: &Compared| {
        let samples = one.page.sequences.first()?;
        Some(Sequence { name: one.run.name.clone(), caption: samples.name.clone(), frames: samples.frames.clone() })
    };
    compared.iter().filter_map(samples).collect()
}

/// Returns the settings that differ as a table.
fn settings(compared: &[Compared]) -> String {
    let flat: Vec<BTreeMap<String, String>> = compared.iter().map(|one| flattened(&one.run.path)).collect();
    let mut keys: Vec<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &&&String| flat.iter().any(|table| table.get(**key) != flat[0].get(**key));
    let row = |key: &String| {
        let cells = flat
            .iter()
            .map(|table| format!("<td>{}</td>", table.get(key).map_or_else(|| "–".into(), |value| text(value))));
        format!("<tr><th scope=\"row\"><code>{}</code></th>{}</tr>\n", text(key), cells.collect::<String>())
    };
    let rows: String = keys.iter().filter(differs).map(|key| row(key)).collect();
    let heads: String = compared.iter().map(|one| format!("<th scope=\"col\">{}</th>", text(&one.run.name))).collect();
    let body = if rows.is_empty() {
        "<p>All settings are equal.</p>\n".into()
    } else {
        format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Settings that differ\"><table class=\"different\">\
             <thead><tr><th scope=\"col\">Setting</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    };
    format!(
        "<section id=\"settings\" aria-labelledby=\"settings-h\">\n<h2 id=\"settings-h\">Settings that differ</h2>\n{body}</section>\n"
    )
}

/// Returns the settings of a run by their paths, such as `train.batch`.
fn flattened(run: &Path) -> BTreeMap<String, String> {
    fn add(prefix: &str, table: &layering::Table, all: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) => add(&path, inner, all),
                toml::Value::String(text) => drop(all.insert(path, text.clone())),
                other => drop(all.insert(path, other.to_string())),
            }
        }
    }
    let mut all = BTreeMap::new();
    if let Ok(table) = layering::from_file(&run.join("config.toml")) {
        add("", &table, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_follow_the_logged_speeds() {
        let lines = "{\"step\":10,\"images_per_s\":10}\n{\"step\":20,\"images_per_s\":20}\n";
        let (metrics, _) = Metrics::of_lines(lines.as_bytes());
        // Steps of 60 images: 10 of them take a minute at 10 images a second, half a minute at 20.
        let clock = clock(&metrics, 60.0);
        assert_eq!(clock, [(10.0, 1.0), (20.0, 1.5)]);
        for (step, expected) in [(0.0, 0.0), (5.0, 0.5), (10.0, 1.0), (15.0, 1.25), (20.0, 1.5), (25.0, 1.5)] {
            assert!((minutes(&clock, step).unwrap() - expected).abs() < 1e-12, "{step}");
        }
        assert_eq!(minutes(&[], 1.0), None);
    }
}
