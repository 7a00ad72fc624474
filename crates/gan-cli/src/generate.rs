//! `gan generate`.

use crate::args::{GenerateArgs, Usage};
use crate::{say, source};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use gan_core::{Generator, Pass, Rng};
use gan_report::Picture;
use gan_train::record;
use std::path::Path;

/// Samples made at once, to bound memory.
const AT_ONCE: usize = 256;

/// Makes samples and writes them in the form that the output's name asks for.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let (description, generator, device) = source::generator(&args.source, &args.device)?;
    let dim = description.latent.dim;
    let z = match &args.latents {
        Some(path) => latents(path, dim, args.count)?.to_device(&device)?,
        None => {
            let count = args.count.or(args.grid.map(|(rows, columns)| rows * columns)).unwrap_or(64);
            description.latent.sample(count, &mut Rng::stream(args.seed, "generate"), &device)?
        }
    };
    let count = z.dim(0)?;
    if count == 0 {
        return Err(Usage("--count 0: nothing to make; expected at least 1".into()).into());
    }
    let out = &args.out;
    if out.as_os_str() == "-" || out.extension().is_some_and(|e| e == "png") {
        let (rows, columns) = cells(count, args.grid)?;
        return write_sheet(&record::picture(&samples(&generator, &z)?, rows, columns)?, out);
    }
    if args.grid.is_some() {
        return Err(Usage(format!("--grid arranges a sheet, but {} is none: name a .png", out.display())).into());
    }
    if out.extension().is_some_and(|e| e == "npy") {
        return write_npy(&samples(&generator, &z)?, out);
    }
    write_folder(&generator, &z, out)
}

/// z `[N, latent]` -> samples `[N, C, H, W]`, a part at a time.
pub fn samples(generator: &dyn Generator, z: &Tensor) -> Result<Tensor> {
    let count = z.dim(0)?;
    let part = |from: usize| generator.forward(&z.narrow(0, from, AT_ONCE.min(count - from))?, &mut Pass::eval());
    let parts = (0..count).step_by(AT_ONCE).map(part).collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&parts, 0)?.detach())
}

fn latents(path: &Path, dim: usize, count: Option<usize>) -> Result<Tensor> {
    let z = Tensor::read_npy(path).with_context(|| format!("{}: cannot be read as .npy", path.display()))?;
    let z = z.to_dtype(DType::F32).with_context(|| format!("{}: expected numbers", path.display()))?;
    match z.dims() {
        [n, found] if *found == dim => match count {
            Some(count) if count > *n => {
                bail!("{}: holds {n} latent vectors, --count asks for {count}", path.display())
            }
            count => Ok(z.narrow(0, 0, count.unwrap_or(*n))?),
        },
        found => bail!("{}: found an array of shape {found:?}, expected [N, {dim}]", path.display()),
    }
}

/// Rows and columns for `count` samples: as given, or as square as possible.
fn cells(count: usize, given: Option<(usize, usize)>) -> Result<(usize, usize)> {
    match given {
        Some((rows, columns)) if rows * columns < count => {
            Err(Usage(format!("--grid {rows}x{columns} has {} cells for {count} samples", rows * columns)).into())
        }
        Some(grid) => Ok(grid),
        None => {
            let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
            Ok((count.div_ceil(columns), columns))
        }
    }
}

fn write_sheet(picture: &Picture, out: &Path) -> Result<()> {
    if out.as_os_str() == "-" {
        return say::bytes(&picture.to_png()?);
    }
    picture.save_png(out)?;
    say::line(out.display())
}

fn write_npy(samples: &Tensor, out: &Path) -> Result<()> {
    let temporary = out.with_extension("npy.tmp");
    let written = samples.write_npy(&temporary).map_err(anyhow::Error::from);
    let moved = written.and_then(|()| Ok(std::fs::rename(&temporary, out)?));
    if moved.is_err() {
        std::fs::remove_file(&temporary).ok();
    }
    moved.with_context(|| format!("{}: cannot be written", out.display()))?;
    say::line(out.display())
}

fn write_folder(generator: &dyn Generator, z: &Tensor, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be created", out.display()))?;
    let count = z.dim(0)?;
    let digits = count.to_string().len().max(4);
    for from in (0..count).step_by(AT_ONCE) {
        let part = samples(generator, &z.narrow(0, from, AT_ONCE.min(count - from))?)?;
        for (i, picture) in record::pictures(&part)?.iter().enumerate() {
            picture.save_png(&out.join(format!("{:0digits$}.png", from + i)))?;
        }
    }
    say::line(format_args!("{} ({count} images)", out.display()))
}
