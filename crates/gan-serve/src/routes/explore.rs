//! The page that explores the latent space of a run's generator. The samples are computed here.

use super::blocking;
use crate::Shared;
use crate::address::encoded;
use crate::document::{Document, no_run};
use crate::index::Run;
use crate::model::Model;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use gan_report::shell::text;
use gan_run::RunFolder;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

const MAIN: &str = include_str!("../pages/explore.html");

/// Answers with the page. `weights=best` chooses the best generator.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    with_model(shared, id, query, |run, query, model| {
        let id = &run.id;
        let is_best = is_best(query);
        let description = &model.description;
        let data = json!({
            "at": format!("/explore/{}/sample?{}", encoded(id), if is_best { "weights=best&" } else { "" }),
            "classes": model.classes(),
            "names": description.data.classes,
            "shares": model.directions.iter().map(|direction| direction.share).collect::<Vec<_>>(),
            "most": model.most_within(),
            "within": description.latent.truncation.unwrap_or(0.0),
        });
        let [link, own] = [format!("/runs/{}", encoded(id)), format!("/explore/{}", encoded(id))];
        let other = match is_best {
            true => format!(" · <a href=\"{own}\">The last generator</a>"),
            false if run.path.join(RunFolder::BEST).is_file() => {
                format!(" · <a href=\"{own}?weights=best\">The best generator</a>")
            }
            false => String::new(),
        };
        let name = &run.name;
        let above =
            format!("<p class=\"above\"><a href=\"/\">All runs</a> · <a href=\"{link}\">{}</a>{other}</p>", text(name));
        let which = if is_best { "best" } else { "last" };
        let lead = format!("The {which} generator of {name}, training step {}", gan_report::grouped(description.step));
        Document {
            title: "Explore",
            lead: &lead,
            above: &above,
            contents: "",
            main: MAIN,
            data: &data,
            script: "explore.js",
        }
        .response()
    })
    .await
}

/// Answers with the PNG of the sample of the recipe `z`, or of one between it and `to`, at `part`.
pub(super) async fn sample(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    with_model(shared, id, query, |_, query, model| {
        let wrong = || (StatusCode::BAD_REQUEST, "expected z=SEED,CLASS,TRUNCATION,OFFSET,…\n").into_response();
        let Some(from) = query.get("z").and_then(|text| model.recipe(text)) else { return wrong() };
        let to = match query.get("to").map(|text| model.recipe(text)) {
            Some(None) => return wrong(),
            other => other.flatten(),
        };
        let part: f32 = query.get("part").and_then(|part| part.parse().ok()).unwrap_or(0.0);
        if !(0.0..=1.0).contains(&part) {
            return wrong();
        }
        match model.png(&from, to.as_ref().map(|to| (to, part))) {
            Ok(png) => ([(CONTENT_TYPE, "image/png")], png).into_response(),
            Err(problem) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{problem}\n")).into_response(),
        }
    })
    .await
}

fn is_best(query: &HashMap<String, String>) -> bool {
    query.get("weights").is_some_and(|weights| weights == "best")
}

async fn with_model(
    shared: Arc<Shared>,
    id: String,
    query: HashMap<String, String>,
    answer: impl FnOnce(&Run, &HashMap<String, String>, &Model) -> Response + Send + 'static,
) -> Response {
    blocking(move || {
        let Some(run) = shared.index.run(&id) else { return no_run(&id) };
        let file = run.path.join(if is_best(&query) { RunFolder::BEST } else { "generator.safetensors" });
        // A link must not lead out of the run.
        let is_inside = file.canonicalize().is_ok_and(|real| real.starts_with(&run.path));
        if !is_inside {
            return (StatusCode::NOT_FOUND, "the run has not saved such a generator yet\n").into_response();
        }
        match shared.models.model(&file) {
            Ok(model) => answer(&run, &query, &model),
            Err(problem) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{problem}\n")).into_response(),
        }
    })
    .await
}
