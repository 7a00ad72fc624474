//! Animation of a folder of pictures, one per step.

use crate::error::Result;
use gan_report::Picture;
use std::fs;
use std::path::Path;

const MOST_FRAMES: usize = 60;
const FRAME_MS: u16 = 150;

/// Writes the pictures of `dir` in the order of their steps as a GIF, with a limited number of frames. An empty folder gives none.
pub(super) fn of_folder(dir: &Path, out: &Path) -> Result<()> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let mut paths: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == "png")).collect();
    paths.sort();
    let every = paths.len().div_ceil(MOST_FRAMES).max(1);
    // Counted from the end, so that the animation ends with the last picture.
    let mut chosen: Vec<_> = paths.iter().rev().step_by(every).collect();
    chosen.reverse();
    let mut frames: Vec<Picture> = chosen.into_iter().filter_map(|p| readable(p)).collect();
    // A resumed run may draw pictures of another size; an animation has the size of its last picture.
    let size = frames.last().map(|f| (f.width(), f.height(), f.colour()));
    frames.retain(|f| Some((f.width(), f.height(), f.colour())) == size);
    if frames.is_empty() { Ok(()) } else { Ok(gan_report::animate(&frames, FRAME_MS, out)?) }
}

/// Reads a picture; `None` if the file is not a picture.
fn readable(path: &Path) -> Option<Picture> {
    Picture::open_png(path).inspect_err(|error| tracing::warn!("{error}; it is left out of the animation")).ok()
}
