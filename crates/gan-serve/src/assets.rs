//! Styles and scripts. They are part of the binary.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use gan_report::{Page, shell};
use sha2::{Digest, Sha256};

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, type and parts of each file.
const ASSETS: [(&str, &str, &[&str]); 5] = [
    ("style.css", CSS, &[shell::STYLE, Page::STYLE, include_str!("pages/style.css")]),
    ("list.js", JS, &[shell::SCRIPT, include_str!("pages/updates.js"), include_str!("pages/list.js")]),
    ("run.js", JS, &[Page::SCRIPT, include_str!("pages/updates.js"), include_str!("pages/run.js")]),
    ("explore.js", JS, &[shell::SCRIPT, include_str!("pages/explore.js")]),
    ("compare.js", JS, &[Page::SCRIPT, include_str!("pages/compare.js")]),
];

/// Answers with the file called `name`. Browsers keep it, and ask whether it is still the same.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, parts)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let text = parts.concat();
    let tag = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    kept(&headers, &tag, kind, text)
}

/// Answers with `body`, or that the browser has it: `tag` differs if the content does.
pub(crate) fn kept(headers: &HeaderMap, tag: &str, kind: &str, body: impl IntoResponse) -> Response {
    let tag = format!("\"{tag}\"");
    let common = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".into()), (CONTENT_TYPE, kind.into())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, body).into_response()
}
