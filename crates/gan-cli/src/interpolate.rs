//! `gan interpolate`: an animation that walks from sample to sample, a strip of its frames, or with `--loop` a smooth path that repeats without
//! a seam (`loops`).

use crate::args::{MOST, count, usage, whole};
use crate::output::{Form, Output};
use crate::seeds::{self, Seeds};
use crate::{print, source};
use anyhow::Result;
use candle_core::Tensor;
use clap::Args;
use gan_base::Rng;
use gan_base::messages::counted;
use gan_core::Generator;
use gan_core::check_finite;
use gan_core::samples;
use gan_core::slerp;
use gan_core::weights::Description;
use gan_report::{Animation, Picture, check_grid};
use gan_run::pictures;
use std::path::{Path, PathBuf};

mod loops;

pub use loops::closed_loop;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan interpolate runs/first --out walk.gif\n  gan interpolate generator.safetensors --points 2 --frames 9 --out strip.png\n  gan interpolate runs/first --loop --rows 3 --columns 5 --out loop.webp\n  gan interpolate runs/first --loop --seeds 3,17,40 --fps 30 --scale 8 --out loop.mp4"
)]
pub struct InterpolateArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// FILE.gif, FILE.webp or FILE.mp4 (by ffmpeg) for an animation; FILE.png for a strip, or with --loop for an animated PNG.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Follow a smooth closed path through the samples, which repeats without a seam.
    #[arg(long = "loop")]
    pub is_loop: bool,
    /// Number of samples to visit.
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true, value_parser = whole(2, 1000))]
    pub points: u64,
    /// Number of frames from each sample to the next, or with --loop of the whole loop [default: 12, or 120].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, 2000))]
    pub frames: Option<u64>,
    /// Number of frames per second of an animation.
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true, value_parser = count(1, 120))]
    pub fps: usize,
    /// Number of pixels per side that each pixel of an animation becomes [default: as many as make it 224 wide].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 64))]
    pub scale: Option<usize>,
    /// Rows of tiles, each with a loop of its own.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "is_loop", allow_negative_numbers = true, value_parser = count(1, 32))]
    pub rows: usize,
    /// Columns of tiles.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "is_loop", allow_negative_numbers = true, value_parser = count(1, 32))]
    pub columns: usize,
    /// Seed of the samples.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Visit the samples of these seeds, as `gan generate --seeds` shows them, e.g. 3,17,40.
    #[arg(long, value_name = "LIST", conflicts_with_all = ["seed", "points"], value_parser = seeds::parse)]
    pub seeds: Option<Seeds>,
    /// Class of the samples, by name, or by number if no class has a number as its name, for a conditional generator [default: the first,
    /// and each in turn for the tiles of a loop].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// Maximum number of frames, because all are held in memory.
pub const MOST_FRAMES: u64 = 2000;
/// Number of frames from each sample to the next, and of a loop.
const LEG: u64 = 12;
const LOOP: u64 = 120;
/// Minimum size of an animation's frames in pixels, to which small ones are enlarged.
const SIDE: usize = 224;

/// Walks from sample to sample: an animation returns to its start, a strip ends at the last sample.
pub fn run(args: &InterpolateArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Gif, Form::WebP, Form::Mp4, Form::Png])?;
    let points = args.seeds.as_ref().map_or(args.points, |seeds| seeds.0.len() as u64);
    let frames = args.frames.unwrap_or(if args.is_loop { LOOP } else { LEG });
    if points < 2 {
        return Err(usage("--seeds", "names one sample; expected at least two to visit"));
    }
    if !args.is_loop && points * frames > MOST_FRAMES {
        return Err(usage("--points times --frames", format_args!("more than {MOST_FRAMES} frames; expected fewer")));
    }
    if args.is_loop || out.form != Form::Png {
        check(&out, args.fps)?;
    }
    let weights = source::weight_file(&args.source)?;
    out.keep_apart_from([weights.as_path()])?;
    let (description, generator, device) = source::sampler(&args.source, &args.device)?;
    let subject = Subject { description: &description, generator: generator.as_ref(), device: &device };
    let class = args.class.as_ref().map(|name| source::class(&description, generator.as_ref(), name)).transpose()?;
    if args.is_loop {
        let frames = loops::frames(args, &subject, class, frames as usize)?;
        return save(&frames, out.form, args.fps, args.scale, &out.path);
    }
    let points = subject.keys(args, None, &mut Rng::stream(args.seed, "interpolate"))?;
    let closed = out.form != Form::Png;
    let walk = walk(&points, frames as usize, closed);
    let n = walk.len();
    if let (false, &[c, h, w]) = (closed, description.data.shape.as_slice()) {
        check_grid([c, 2 * (h + 1), 2 * (w + 1)], 1, n)
            .map_err(|error| usage("--points times --frames", format_args!("a strip of {n} frames: {error}")))?;
    }
    let z = Tensor::new(walk, &device)?;
    let class = class.or(generator.classes().map(|_| 0));
    let classes = class.map(|class| Tensor::full(class, z.dim(0)?, &device)).transpose()?;
    let pictures = subject.pictures(&z, classes.as_ref())?;
    if closed {
        return save(&pictures, out.form, args.fps, args.scale, &out.path);
    }
    gan_report::strip(&pictures)?.enlarged(2)?.save_png(&out.path)?;
    print::line(format_args!("{} ({})", out.path.display(), counted(n, "frame")))
}

/// A generator and what its weight file says.
pub struct Subject<'a> {
    pub description: &'a Description,
    pub generator: &'a dyn Generator,
    pub device: &'a candle_core::Device,
}

impl Subject<'_> {
    /// Draws the samples to visit, with this truncation, or takes those of the given seeds.
    fn keys(&self, args: &InterpolateArgs, within: Option<f64>, rng: &mut Rng) -> Result<Vec<Vec<f32>>> {
        let latent = &self.description.latent;
        let n = args.points as usize;
        let keys = match (&args.seeds, within) {
            (Some(seeds), _) => seeds::latents(seeds, latent, latent.truncation, self.device)?,
            (None, Some(most)) => latent.sample_within(most, n, rng, self.device)?,
            (None, None) => latent.sample(n, rng, self.device)?,
        };
        Ok(keys.to_vec2()?)
    }

    /// Generates and draws samples.
    pub fn pictures(&self, z: &Tensor, classes: Option<&Tensor>) -> Result<Vec<Picture>> {
        let samples = samples(self.generator, z, classes)?;
        check_finite(&samples, |row| format!("the generator's sample {row}"))?;
        Ok(pictures::singles(&samples, source::units(self.description).as_ref())?)
    }
}

/// Checks that an animation can be written.
pub fn check(out: &Output, fps: usize) -> Result<()> {
    let format = out.form.animation();
    let checked = format.map_or(Ok(()), |format| format.check(fps as u16));
    checked.map_err(|error| usage(out.path.display(), error))
}

/// Writes an animation, small frames enlarged to a visible size unless a scale is given.
pub fn save(frames: &[Picture], form: Form, fps: usize, scale: Option<usize>, path: &Path) -> Result<()> {
    let largest = frames.first().map_or(1, |frame| frame.width().max(frame.height()));
    let scale = scale.unwrap_or_else(|| SIDE.div_ceil(largest).clamp(1, 8));
    let format = form.animation().ok_or_else(|| usage(path.display(), "is no animation"))?;
    Animation { frames, fps: fps as u16, scale }.save(format, path)?;
    print::line(format_args!("{} ({})", path.display(), counted(frames.len(), "frame")))
}

/// Returns `frames` latent vectors from each point to the next, starting with the point itself. The walk ends at the last point or, closed,
/// returns to the first.
fn walk(points: &[Vec<f32>], frames: usize, closed: bool) -> Vec<Vec<f32>> {
    let next = |i: usize| &points[(i + 1) % points.len()];
    let legs = if closed { points.len() } else { points.len() - 1 };
    let along = |i: usize| (0..frames).map(move |f| (i, f as f32 / frames as f32));
    let mut path: Vec<Vec<f32>> = (0..legs).flat_map(along).map(|(i, t)| slerp(&points[i], next(i), t)).collect();
    path.extend((!closed).then(|| points[points.len() - 1].clone()));
    path
}
