//! The list of all runs.

use super::{blocking, events};
use crate::Shared;
use crate::address::encoded;
use crate::document::Document;
use crate::index::{Run, locked};
use axum::extract::State;
use axum::response::Response;
use gan_report::grouped;
use gan_report::shell::text;
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

/// Time between two looks at all runs, while somebody looks at the list.
const INTERVAL: Duration = Duration::from_secs(1);

/// Size of a small curve in pixels.
const SPARK: [f64; 2] = [140.0, 32.0];

/// The task that looks at all runs for those who have the list open.
#[derive(Default)]
pub(crate) struct Lookout(Mutex<Option<broadcast::Sender<Arc<str>>>>);

/// Answers with the page.
pub(super) async fn page(State(shared): State<Arc<Shared>>) -> Response {
    blocking(move || {
        shared.index.look();
        let rows = rows(&shared);
        let lead = match rows.len() {
            0 => "There are no runs here yet. They appear when gan train begins one in this folder.".into(),
            1 => "1 run, the newest first".into(),
            count => format!("{count} runs, the newest first"),
        };
        let main = format!(
            "<form action=\"/compare\" method=\"get\">\n<div class=\"controls bar\"><button type=\"submit\" id=\"compare\">Compare</button>\
             <span id=\"chosen\" role=\"status\">Choose 2 to 6 runs to compare them.</span></div>\n\
             <ul class=\"runs\" id=\"runs\">\n{}</ul>\n</form>\n",
            rows.iter().map(|(_, html)| html.as_str()).collect::<String>()
        );
        Document { title: "Runs", lead: &lead, above: "", contents: "", main: &main, data: &json!({}), script: "list.js" }
            .response()
    })
    .await
}

/// Answers with the rows, now and whenever they change.
pub(super) async fn events(State(shared): State<Arc<Shared>>) -> Response {
    let updates = shared.lookout.subscribe(&shared);
    blocking(move || {
        shared.index.look();
        events::response(update(&rows(&shared), &[]), updates)
    })
    .await
}

impl Lookout {
    fn subscribe(&self, shared: &Arc<Shared>) -> broadcast::Receiver<Arc<str>> {
        let mut sender = locked(&self.0);
        if let Some(sender) = &*sender {
            return sender.subscribe();
        }
        let (new, updates) = broadcast::channel(8);
        *sender = Some(new);
        tokio::spawn(look_out(shared.clone()));
        updates
    }

    /// Sends what has changed between `old` and `new`. Returns whether anybody listens; if not, the next subscriber starts another task.
    fn send(&self, new: &[Row], old: &[Row]) -> bool {
        let mut sender = locked(&self.0);
        let listens = sender.as_ref().is_some_and(|sender| sender.receiver_count() > 0);
        if !listens {
            *sender = None;
        }
        if let Some(sender) = sender.as_ref().filter(|_| new != old) {
            sender.send(update(new, old)).ok();
        }
        listens
    }
}

async fn look_out(shared: Arc<Shared>) {
    let mut old = vec![];
    loop {
        tokio::time::sleep(INTERVAL).await;
        let looking = shared.clone();
        let look = move || {
            looking.index.look();
            rows(&looking)
        };
        let Ok(new) = tokio::task::spawn_blocking(look).await else { continue };
        if !shared.lookout.send(&new, &old) {
            return;
        }
        old = new;
    }
}

/// Identifier of a run, and its item as HTML.
type Row = (String, String);

fn rows(shared: &Shared) -> Vec<Row> {
    shared.index.runs().iter().map(|run| (run.id.clone(), row(run))).collect()
}

/// Returns the order of all runs, and the items of those that have changed.
fn update(new: &[Row], old: &[Row]) -> Arc<str> {
    let changed = new.iter().filter(|row| !old.contains(row));
    let order: Vec<&String> = new.iter().map(|(id, _)| id).collect();
    let rows = changed.map(|(id, html)| (id.clone(), Value::from(html.as_str()))).collect::<serde_json::Map<_, _>>();
    json!({ "order": order, "rows": rows }).to_string().into()
}

fn row(run: &Run) -> String {
    let digest = run.digest();
    let [name, id, preset] = [&run.name, &run.id, digest.preset()].map(text);
    let word = digest.state.word();
    let steps = grouped(digest.steps);
    let of = digest.total().map(|total| format!(" of {}", grouped(total))).unwrap_or_default();
    let best = digest.best.as_ref().map(|(metric, value)| {
        format!(
            "<span class=\"best\" title=\"{0}\">best <b>{1}</b> <small>{0}</small></span>",
            text(metric),
            text(value)
        )
    });
    let alarms = match digest.alarms.as_slice() {
        [] => String::new(),
        [.., last] => {
            let more = if digest.alarms.len() > 1 { format!(" (+{})", digest.alarms.len() - 1) } else { String::new() };
            format!("<span class=\"alarm\">alarm: {}{more}</span>", text(last.alarm.rule.title))
        }
    };
    format!(
        "<li class=\"row\" data-run=\"{id}\"><input type=\"checkbox\" name=\"run\" value=\"{id}\" aria-label=\"Compare {name}\">\
         <a class=\"name\" href=\"/runs/{}\">{name}</a><span class=\"state {word}\">{word}</span>\
         <span class=\"preset\">{preset}</span><span class=\"steps\">{steps}{of} steps</span>{}{alarms}{}</li>\n",
        encoded(&run.id),
        best.unwrap_or_default(),
        spark([digest.curve_d.means(), digest.curve_g.means()]),
    )
}

/// Draws the losses of D and G as a small picture with a text for screen readers.
fn spark(curves: [&[f64]; 2]) -> String {
    let all = || curves.iter().flat_map(|curve| curve.iter().copied());
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    if low > high {
        return String::new();
    }
    let [width, height] = SPARK;
    let mut paths = String::new();
    for (at, curve) in curves.iter().enumerate() {
        let mut path = String::new();
        for (i, y) in curve.iter().enumerate() {
            let x = 2.0 + (width - 4.0) * i as f64 / (curve.len() - 1).max(1) as f64;
            let y = 2.0 + (height - 4.0) * (1.0 - (y - low) / (high - low).max(f64::MIN_POSITIVE));
            write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" }).ok();
        }
        write!(paths, "<path class=\"c{at}\" d=\"{path}\"/>").ok();
    }
    let last = |curve: &[f64]| curve.last().map_or_else(|| "none".into(), |y| gan_report::to_digits(*y, 3));
    let label = format!("Losses: D {}, G {}", last(curves[0]), last(curves[1]));
    format!("<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">{paths}</svg>")
}
