//! `gan interpolate`.

use crate::args::{MOST, usage, whole};
use crate::output::{Form, Output};
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
use gan_report::{Picture, check_grid};
use gan_run::pictures;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan interpolate runs/first --out walk.gif\n  gan interpolate generator.safetensors --points 2 --frames 9 --out strip.png"
)]
pub struct InterpolateArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// FILE.gif for a looping animation, FILE.png for a strip.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Number of samples to visit.
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true, value_parser = whole(2, 1000))]
    pub points: u64,
    /// Number of frames from each sample to the next.
    #[arg(long, value_name = "N", default_value_t = 12, allow_negative_numbers = true, value_parser = whole(1, 1000))]
    pub frames: u64,
    /// Seed of the samples.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Class of the samples, by name, or by number if no class has a number as its name, for a conditional generator [default: the first].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
}

/// Maximum number of frames, because all are held in memory.
const MOST_FRAMES: u64 = 2000;
const FRAME_MS: u16 = 60;
/// Minimum size of an animation's frames in pixels, to which small ones are enlarged.
const SIDE: usize = 224;

/// Walks from sample to sample: an animation returns to its start, a strip ends at the last sample.
pub fn run(args: &InterpolateArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Gif, Form::Png])?;
    if args.points * args.frames > MOST_FRAMES {
        return Err(usage("--points times --frames", format_args!("more than {MOST_FRAMES} frames; expected fewer")));
    }
    let weights = source::weight_file(&args.source)?;
    out.keep_apart_from([weights.as_path()])?;
    let (description, generator, device) = source::generator(&args.source, "auto")?;
    let mut rng = Rng::stream(args.seed, "interpolate");
    let points = description.latent.sample(args.points as usize, &mut rng, &device)?.to_vec2::<f32>()?;
    let closed = out.form == Form::Gif;
    let walk = walk(&points, args.frames as usize, closed);
    let n = walk.len();
    if let (false, &[c, h, w]) = (closed, description.data.shape.as_slice()) {
        check_grid([c, 2 * (h + 1), 2 * (w + 1)], 1, n)
            .map_err(|error| usage("--points times --frames", format_args!("a strip of {n} frames: {error}")))?;
    }
    let z = Tensor::new(walk, &device)?;
    let class = match &args.class {
        Some(name) => Some(source::class(&description, &generator, name)?),
        None => generator.classes().map(|_| 0),
    };
    let classes = class.map(|class| Tensor::full(class, z.dim(0)?, &device)).transpose()?;
    let samples = samples(&generator, &z, classes.as_ref())?;
    check_finite(&samples, |frame| format!("the generator's sample for frame {frame}"))?;
    let pictures = pictures::singles(&samples, source::units(&description).as_ref())?;
    if closed {
        let enlarged = pictures.iter().map(enlarge).collect::<Result<Vec<_>>>()?;
        gan_report::animate(&enlarged, FRAME_MS, &out.path)?;
    } else {
        gan_report::strip(&pictures)?.enlarged(2)?.save_png(&out.path)?;
    }
    print::line(format_args!("{} ({})", out.path.display(), counted(n, "frame")))
}

/// Enlarges a frame to a visible size.
fn enlarge(picture: &Picture) -> Result<Picture> {
    let factor = SIDE.div_ceil(picture.width().max(picture.height()).max(1)).clamp(1, 8);
    Ok(picture.enlarged(factor)?)
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
