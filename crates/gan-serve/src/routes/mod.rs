//! The pages, and which address leads to which: `list` (all runs), `run` (one of them), `compare` (some of them), `explore` (what its generator makes), `pictures`, and `events` (how
//! pages learn what is new).

mod compare;
mod events;
mod explore;
mod list;
mod pictures;
mod run;

pub(crate) use list::Lookout;

use crate::{Shared, assets, guard};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Returns all routes behind the guard.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(list::page))
        .route("/events", get(list::events))
        .route("/runs/{id}", get(run::page))
        .route("/runs/{id}/parts", get(run::parts))
        .route("/runs/{id}/events", get(run::events))
        .route("/runs/{id}/pictures/{folder}/{file}", get(pictures::picture))
        .route("/explore/{id}", get(explore::page))
        .route("/explore/{id}/sample", get(explore::sample))
        .route("/compare", get(compare::page))
        .route("/assets/{name}", get(assets::asset))
        .fallback(async || (StatusCode::NOT_FOUND, "there is no such page: the list of runs is at /\n"))
        .layer(from_fn_with_state(shared.clone(), guard::check))
        .with_state(shared)
}

/// Runs `work`, which reads files, on a thread for such work.
async fn blocking(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, "the server failed: see its output\n").into_response();
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| failed())
}
