//! Server-sent events (HTML Living Standard, section 9.2): a response that never ends, in which each update is a message.

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;

/// Time between comments that show that the connection is still there.
const ALIVE: Duration = Duration::from_secs(10);

/// Answers with `first`, then with everything that is sent. Ends for a client that is too slow, which connects again.
pub(super) fn response(first: Arc<str>, updates: broadcast::Receiver<Arc<str>>) -> Response {
    let message = |text: &str| Ok::<_, Infallible>(Event::default().data(text));
    let stream = unfold((Some(first), updates), move |(first, mut updates)| async move {
        let text = match first {
            Some(first) => first,
            None => updates.recv().await.ok()?,
        };
        Some((message(&text), (None, updates)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}
