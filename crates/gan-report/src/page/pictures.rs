//! PNG files as data URIs, within the budget of a page, or as links.

use super::{Frame, Page, Sequence};
use crate::Picture;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{fs, io::Read, path::Path};

/// Maximum number of embedded frames of a sequence, evenly spaced and including the last.
const MOST_FRAMES: usize = 60;

/// Maximum number of bytes of PNG files in a page; base64 adds a third.
const BUDGET: u64 = 10 << 20;

/// Maximum number of linked frames of a sequence.
const MOST_LINKS: usize = 500;

/// Bytes at the start of a PNG file that contain its size.
const HEAD: usize = 24;

/// A picture in the page.
pub(super) struct Embedded {
    /// `data:image/png;base64,…`, or a link.
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

/// Collects the pictures of `page`: as links if `link` returns their addresses, else embedded. Then single ones come first, and the sequences
/// share the rest of the budget.
pub(super) fn album<'a>(page: &'a Page, link: Option<&dyn Fn(&Path) -> String>) -> Album<'a> {
    let mut album = Album { films: vec![], singles: vec![], notes: vec![] };
    let mut left = BUDGET;
    for single in &page.pictures {
        let bytes = if link.is_some() { 0 } else { size(&single.path) };
        if bytes > left {
            album.notes.push(format!("{} is left out: the page would become too large.", named(&single.path)));
        } else if let Some(picture) = album.picture(&single.path, link) {
            left -= bytes;
            album.singles.push((&single.caption, picture));
        }
    }
    let share = left / page.sequences.len().max(1) as u64;
    for sequence in &page.sequences {
        let frames = match link {
            Some(link) => album.links(&sequence.frames, link),
            None => {
                let chosen = chosen(&sequence.frames, share);
                chosen.iter().filter_map(|f| Some((f.step, album.picture(&f.path, None)?))).collect()
            }
        };
        if !frames.is_empty() {
            album.films.push(Film { sequence, frames });
        }
    }
    album
}

impl Album<'_> {
    fn picture(&mut self, path: &Path, link: Option<&dyn Fn(&Path) -> String>) -> Option<Embedded> {
        match link {
            // A file that is being replaced may be missing for a moment, so there is no note.
            Some(link) => dimensions(path).map(|[width, height]| Embedded { uri: link(path), width, height }),
            None => self.embed(path),
        }
    }

    /// Links up to [`MOST_LINKS`] frames. Only the last one is read, because all pictures of a sequence have one size.
    fn links(&self, frames: &[Frame], link: &dyn Fn(&Path) -> String) -> Vec<(u64, Embedded)> {
        let Some([width, height]) = frames.iter().rev().find_map(|frame| dimensions(&frame.path)) else {
            return vec![];
        };
        let chosen = spaced(frames.len(), MOST_LINKS.min(frames.len())).map(|at| &frames[at]);
        chosen.map(|frame| (frame.step, Embedded { uri: link(&frame.path), width, height })).collect()
    }

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

/// Returns width and height of a PNG file, from its header.
fn dimensions(path: &Path) -> Option<[usize; 2]> {
    let mut head = [0; HEAD];
    gan_base::regular_file::open(path).ok()?.read_exact(&mut head).ok()?;
    let side = |at: usize| head[at..at + 4].iter().fold(0, |side, byte| side << 8 | usize::from(*byte));
    head.starts_with(b"\x89PNG").then(|| [side(16), side(20)])
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
