//! What all pages share.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use gan_report::shell::{fill, json, text};
use serde_json::Value;

const HTML: &str = include_str!("pages/document.html");

/// Contents of a page. Title and lead are plain text, the others are HTML.
pub(crate) struct Document<'a> {
    pub title: &'a str,
    pub lead: &'a str,
    /// Links above the heading.
    pub above: &'a str,
    /// Items of the list of contents.
    pub contents: &'a str,
    pub main: &'a str,
    /// What the script reads.
    pub data: &'a Value,
    /// Name of the script among the assets.
    pub script: &'a str,
}

impl Document<'_> {
    pub(crate) fn response(&self) -> Response {
        let nav_hidden = if self.contents.is_empty() { " hidden" } else { "" };
        let html = fill(
            HTML,
            &[
                ("title", &text(self.title)),
                ("lead", &text(self.lead)),
                ("above", self.above),
                ("nav_hidden", nav_hidden),
                ("contents", self.contents),
                ("main", self.main),
                ("data", &json(self.data)),
                ("script", self.script),
            ],
        );
        Html(html).into_response()
    }
}

/// Answers that there is no run called `id`.
pub(crate) fn no_run(id: &str) -> Response {
    let id: String = id.chars().filter(|c| !c.is_control()).take(100).collect();
    (StatusCode::NOT_FOUND, format!("there is no run called {id} here: choose one in the list at /\n")).into_response()
}

/// Answers that too many runs are being watched.
pub(crate) fn too_many() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "too many runs are open: close one of them first\n").into_response()
}
