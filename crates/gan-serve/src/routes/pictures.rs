//! The pictures of a run.

use super::blocking;
use crate::Shared;
use crate::assets::kept;
use crate::document::no_run;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use std::{fs, path};

/// Maximum size of a picture in bytes.
const MOST: u64 = 64 << 20;

/// Answers with `FOLDER/FILE.png` of a run.
pub(super) async fn picture(
    State(shared): State<Arc<Shared>>,
    Path((id, folder, file)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    blocking(move || {
        let Some(run) = shared.index.run(&id) else { return no_run(&id) };
        let missing = || (StatusCode::NOT_FOUND, "the run has no such picture\n").into_response();
        let Some(path) = inside(&run.path, &folder, &file) else { return missing() };
        let Ok(found) = fs::metadata(&path) else { return missing() };
        let Ok(bytes) = gan_base::regular_file::read(&path, MOST) else { return missing() };
        let time = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        kept(&headers, &format!("{}-{}", found.len(), time.as_nanos()), "image/png", bytes)
    })
    .await
}

/// Returns the path of a PNG file in a folder of the run, if it is really there: links must not lead out of the run.
fn inside(run: &path::Path, folder: &str, file: &str) -> Option<path::PathBuf> {
    let is_name = |name: &str| !name.starts_with('.') && !name.contains(['/', '\\', '\0', ':']) && !name.is_empty();
    if !is_name(folder) || !is_name(file) || !file.ends_with(".png") {
        return None;
    }
    let real = fs::canonicalize(run.join(folder).join(file)).ok()?;
    (real.starts_with(run) && real.extension().is_some_and(|ending| ending == "png")).then_some(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_inside_of_the_run_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let run = base.join("run");
        fs::create_dir_all(run.join("samples")).unwrap();
        for path in ["run/samples/a.png", "run/samples/a.txt", "run/config.toml", "secret.png", "run/b.png"] {
            fs::write(base.join(path), "x").unwrap();
        }
        assert_eq!(inside(&run, "samples", "a.png"), Some(run.join("samples/a.png")));
        for (folder, file) in [
            ("samples", "a.txt"),
            ("samples", "../b.png"),
            ("..", "secret.png"),
            (".", "b.png"),
            ("", "b.png"),
            ("samples", "none.png"),
            ("samples/..", "b.png"),
        ] {
            assert_eq!(inside(&run, folder, file), None, "{folder} {file}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(base.join("secret.png"), run.join("samples/link.png")).unwrap();
            std::os::unix::fs::symlink(&base, run.join("up")).unwrap();
            std::os::unix::fs::symlink(run.join("config.toml"), run.join("samples/c.png")).unwrap();
            for (folder, file) in [("samples", "link.png"), ("up", "secret.png"), ("samples", "c.png")] {
                assert_eq!(inside(&run, folder, file), None, "{folder} {file}");
            }
        }
    }
}
