//! The page of a run: its report, which learns what is new.

use super::{blocking, events};
use crate::Shared;
use crate::address::encoded;
use crate::document::{Document, no_run, too_many};
use crate::live::{Shown, Watch, follow};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use gan_report::shell::text;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Answers with the whole page.
pub(super) async fn page(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    watched(shared, id, |id, watch| {
        let shown = watch.shown();
        let explore = match watch.has("generator.safetensors") {
            true => format!(" · <a href=\"/explore/{}\">Explore the generator</a>", encoded(id)),
            false => String::new(),
        };
        let above = format!("<p class=\"above\"><a href=\"/\">All runs</a>{explore}</p>");
        let word = watch.state().word();
        let status = format!(
            "<p class=\"status\">State: <strong id=\"state\" class=\"state {word}\">{}</strong></p>\n",
            text(word)
        );
        Document {
            title: &shown.title,
            lead: &shown.lead,
            above: &above,
            contents: &shown.parts.contents(),
            main: &[status, format!("<div id=\"report\">\n{}</div>\n", shown.parts.main())].concat(),
            data: &data(id, &shown),
            script: "run.js",
        }
        .response()
    })
    .await
}

/// Answers with what the page makes itself anew from.
pub(super) async fn parts(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    watched(shared, id, |id, watch| {
        let shown = watch.shown();
        let parts = &shown.parts;
        Json(json!({ "contents": parts.contents(), "main": parts.main(), "data": data(id, &shown) })).into_response()
    })
    .await
}

/// Answers with updates for a page of `version` that has the points before `reached`.
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let reached = query.get("reached").and_then(|step| step.parse().ok()).filter(|step: &f64| step.is_finite());
    let version = query.get("version").cloned().unwrap_or_default();
    watched(shared, id, move |_, watch| {
        let (first, updates) = watch.subscribe(&version, reached.unwrap_or(0.0));
        events::response(first, updates)
    })
    .await
}

/// Answers a request about a run that is watched from now on.
async fn watched(
    shared: Arc<Shared>,
    id: String,
    answer: impl FnOnce(&str, &Arc<Watch>) -> Response + Send + 'static,
) -> Response {
    let runtime = Handle::current();
    blocking(move || {
        let Some(run) = shared.index.run(&id) else { return no_run(&id) };
        let Some(watch) = shared.watches.watch(&run) else { return too_many() };
        let response = answer(&id, &watch);
        runtime.spawn(follow(shared.clone(), watch));
        response
    })
    .await
}

/// Returns what the page's script reads.
fn data(id: &str, shown: &Shown) -> Value {
    let mut data = shown.parts.data.clone();
    data["live"] =
        json!({ "at": format!("/runs/{}", encoded(id)), "version": shown.version, "reached": shown.reached });
    data
}
