//! Loops: each tile follows a smooth closed path of its own, so that the last frame leads back to the first.

use super::{InterpolateArgs, Subject};
use crate::args::usage;
use anyhow::Result;
use candle_core::Tensor;
use gan_base::Rng;
use gan_report::{Picture, Tile, check_grid, tiles};

/// Maximum size of all frames together in bytes before they are enlarged, because all are held in memory.
const MOST_BYTES: usize = 1 << 30;
/// Number of samples that are generated at once.
const AT_ONCE: usize = 256;

/// Returns the frames of the loop.
pub(super) fn frames(
    args: &InterpolateArgs,
    subject: &Subject,
    class: Option<u32>,
    frames: usize,
) -> Result<Vec<Picture>> {
    let rows = args.rows;
    let columns = args.columns;
    let count = rows * columns;
    if args.seeds.is_some() && count > 1 && (class.is_some() || subject.generator.classes().is_none()) {
        let problem = "all tiles would show the same loop through these seeds; leave --rows and --columns out";
        return Err(usage("--seeds", problem));
    }
    if let &[c, h, w] = subject.description.data.shape.as_slice() {
        let too_large = |error: String| usage("--rows, --columns and --frames", error);
        check_grid([c, h, w], rows, columns).map_err(|error| too_large(error.to_string()))?;
        let bytes = (c * (h + 2) * (w + 2)).saturating_mul(count).saturating_mul(frames);
        if bytes > MOST_BYTES {
            return Err(too_large("the frames take over 1 GiB; use fewer frames or tiles".into()));
        }
    }
    let latent = &subject.description.latent;
    let within = latent.truncation;
    let mut paths = vec![];
    for tile in 0..count {
        let keys = subject.keys(args, within, &mut Rng::numbered(args.seed, "loop", tile as u64))?;
        paths.push(latent.closed_path(within, &keys, frames));
    }
    let class = |tile: usize| {
        let in_turn = |known: usize| (tile % known) as u32;
        class.or(subject.generator.classes().map(in_turn))
    };
    closed_loop(subject, &paths, columns, class)
}

/// Draws tiles that follow `paths`, the latent vectors of each frame, and have these classes.
pub fn closed_loop(
    subject: &Subject,
    paths: &[Vec<Vec<f32>>],
    columns: usize,
    class: impl Fn(usize) -> Option<u32>,
) -> Result<Vec<Picture>> {
    let count = paths.len();
    let frames = paths.first().map_or(0, Vec::len);
    let at_once = (AT_ONCE / count.max(1)).max(1);
    let classes: Option<Vec<u32>> = (0..count).map(class).collect();
    let mut drawn = vec![];
    for from in (0..frames).step_by(at_once) {
        let some = from..frames.min(from + at_once);
        let z: Vec<&[f32]> = some.clone().flat_map(|frame| paths.iter().map(move |path| &path[frame][..])).collect();
        let rows = z.len();
        let z = Tensor::from_vec(z.concat(), (rows, subject.description.latent.dim), subject.device)?;
        let classes = classes.as_ref().map(|classes| Tensor::new(classes.repeat(some.len()), subject.device));
        let mut singles = subject.pictures(&z, classes.transpose()?.as_ref())?.into_iter();
        for _ in some {
            drawn.push(frame(singles.by_ref().take(count).collect(), columns)?);
        }
    }
    Ok(drawn)
}

/// Arranges the tiles of one frame; a single one has no border.
fn frame(mut singles: Vec<Picture>, columns: usize) -> Result<Picture> {
    if singles.len() == 1 {
        return Ok(singles.remove(0));
    }
    let tile = |picture| Tile { picture, caption: String::new() };
    Ok(tiles(&singles.into_iter().map(tile).collect::<Vec<_>>(), columns)?)
}
