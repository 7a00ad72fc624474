//! PNG files as data URIs, within the budget of a page.

use super::{Frame, Page, Sequence};
use crate::Picture;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fs, path::Path};

/// Maximum number of embedded frames of a sequence, evenly spaced and including the last.
const MOST_FRAMES: usize = 60;

/// Maximum number of bytes of PNG files in a page; base64 adds a third.
const BUDGET: u64 = 10 << 20;

/// An embedded picture.
pub(super) struct Embedded {
    /// `data:image/png;base64,…`
    pub uri: String,
    pub width: usize,
    pub height: usize,
}

/// An embedded sequence.
pub(super) struct Film<'a> {
    pub sequence: &'a Sequence,
    /// Steps and pictures; at least one.
    pub frames: Vec<(u64, Embedded)>,
}

/// All pictures of a page, and a note about each that is left out.
pub(super) struct Album<'a> {
    pub films: Vec<Film<'a>>,
    /// Captions and pictures.
    pub singles: Vec<(&'a str, Embedded)>,
    pub notes: Vec<String>,
}

/// Reads the pictures of `page`. Single ones come first; the sequences share the rest of the budget.
pub(super) fn album(page: &Page) -> Album<'_> {
    let mut album = Album { films: vec![], singles: vec![], notes: vec![] };
    let mut left = BUDGET;
    for single in &page.pictures {
        let bytes = size(&single.path);
        if bytes > left {
            album.notes.push(format!("{} is left out: the page would become too large.", named(&single.path)));
        } else if let Some(picture) = album.embed(&single.path) {
            left -= bytes;
            album.singles.push((&single.caption, picture));
        }
    }
    let share = left / page.sequences.len().max(1) as u64;
    for sequence in &page.sequences {
        let chosen = chosen(&sequence.frames, share);
        let frames: Vec<_> = chosen.iter().filter_map(|f| Some((f.step, album.embed(&f.path)?))).collect();
        if !frames.is_empty() {
            album.films.push(Film { sequence, frames });
        }
    }
    album
}

impl Album<'_> {
    /// Embeds a PNG. It is decoded first, so that no page shows a broken picture.
    fn embed(&mut self, path: &Path) -> Option<Embedded> {
        let read = gan_base::regular_file::read(path, crate::MOST_BYTES).map_err(|reason| reason.to_string());
        let checked = read.and_then(|bytes| Ok((Picture::from_png(&bytes)?, bytes)));
        match checked {
            Ok((picture, bytes)) => Some(Embedded {
                uri: format!("data:image/png;base64,{}", STANDARD.encode(bytes)),
                width: picture.width(),
                height: picture.height(),
            }),
            Err(reason) => {
                self.notes.push(format!("{} is left out: {reason}.", named(path)));
                None
            }
        }
    }
}

/// Returns up to [`MOST_FRAMES`] of `frames`, evenly spaced and including the last, and fewer if they exceed `budget`
/// bytes.
fn chosen(frames: &[Frame], budget: u64) -> Vec<&Frame> {
    let mut most = MOST_FRAMES.min(frames.len());
    loop {
        let picked: Vec<&Frame> = spaced(frames.len(), most).map(|at| &frames[at]).collect();
        let bytes: u64 = picked.iter().map(|frame| size(&frame.path)).sum();
        if bytes <= budget || most <= 1 {
            return picked;
        }
        // Reduced to what would fit if all had the same size, and by one at least.
        most = ((most as u64 * budget / bytes) as usize).clamp(1, most - 1);
    }
}

/// Returns `most` of the indices below `count`: first, last, and evenly between.
fn spaced(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let steps = most.saturating_sub(1).max(1);
    (0..most).map(move |i| if most == 1 { count - 1 } else { i * (count - 1) / steps })
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Returns the file with its folder, which suffices to find it in a run.
fn named(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    Path::new(folder).join(path.file_name().unwrap_or_default()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_evenly_spaced_and_end_with_the_last() {
        assert_eq!(spaced(5, 5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(spaced(100, 4).collect::<Vec<_>>(), [0, 33, 66, 99]);
        assert_eq!(spaced(7, 1).collect::<Vec<_>>(), [6]);
        assert_eq!(spaced(0, 0).count(), 0);
    }

    #[test]
    fn a_budget_thins_the_frames_but_leaves_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let frame = |step: u64| {
            let path = dir.path().join(format!("{step}.png"));
            fs::write(&path, [0; 1000]).unwrap();
            Frame { step, path }
        };
        let frames: Vec<Frame> = (1..=80).map(frame).collect();
        let steps = |budget| chosen(&frames, budget).iter().map(|f| f.step).collect::<Vec<_>>();
        assert_eq!(steps(1 << 20).len(), MOST_FRAMES);
        assert_eq!(steps(3_500), [1, 40, 80]);
        assert_eq!(steps(10), [80]);
        assert!(chosen(&[], 10).is_empty());
    }
}
