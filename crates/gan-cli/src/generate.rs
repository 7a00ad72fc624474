//! `gan generate`.

use crate::args::{GenerateArgs, Usage};
use crate::{say, source};
use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use gan_core::gan::{classes_in_turn, samples};
use gan_core::{Generator, Rng};
use gan_data::Units;
use gan_data::npy::VectorArray;
use gan_report::{Picture, atomic};
use gan_train::pictures;
use std::path::Path;

/// Images made and written at once, to bound memory.
const AT_ONCE: usize = 256;
/// More do not make a sheet that anyone can look at.
const LARGEST_SHEET: usize = 10_000;

/// Makes samples and writes them in the form that the output's name asks for.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let (description, generator, device) = source::generator(&args.source, &args.device)?;
    let dim = description.latent.dim;
    let z = match &args.latents {
        Some(path) => latents(path, dim, args.count)?.to_device(&device)?,
        None => {
            let count = args.count.or(args.grid.map(|(rows, columns)| rows * columns)).unwrap_or(64);
            let (latent, mut rng) = (description.latent, Rng::stream(args.seed, "generate"));
            match args.truncation.or(latent.truncation) {
                Some(most) => latent.sample_within(most, count, &mut rng, &device)?,
                None => latent.sample(count, &mut rng, &device)?,
            }
        }
    };
    let classes = match &args.class {
        Some(name) => Some(Tensor::full(source::class(&description, &generator, name)?, z.dim(0)?, &device)?),
        None => classes_in_turn(&generator, z.dim(0)?, &device)?,
    };
    let made = Made { generator: &generator, z: &z, classes: classes.as_ref() };
    let units = source::units(&description);
    let units = units.as_ref();
    let count = z.dim(0)?;
    if count == 0 {
        return Err(Usage("there are no latent vectors to make samples from; expected at least 1".into()).into());
    }
    let out = &args.out;
    if out.as_os_str() == "-" || out.extension().is_some_and(|e| e == "png") {
        if count > LARGEST_SHEET {
            let problem =
                format!("--count {count}: a sheet holds at most {LARGEST_SHEET} samples; name a folder or a .npy file");
            return Err(Usage(problem).into());
        }
        let (rows, columns) = cells(count, args.grid)?;
        return write_sheet(&pictures::sheet(&made.all()?, units, rows, columns)?, out);
    }
    if args.grid.is_some() {
        return Err(Usage(format!("--grid arranges a sheet, but {} is none: name a .png", out.display())).into());
    }
    if out.extension().is_some_and(|e| e == "npy") {
        return write_npy(&made, (&description.data.shape, units), out);
    }
    write_folder(&made, units, out)
}

/// What samples are made of.
struct Made<'a> {
    generator: &'a dyn Generator,
    z: &'a Tensor,
    classes: Option<&'a Tensor>,
}

impl Made<'_> {
    fn all(&self) -> Result<Tensor> {
        self.part(0, self.z.dim(0)?)
    }

    fn part(&self, from: usize, count: usize) -> Result<Tensor> {
        let classes = self.classes.map(|classes| classes.narrow(0, from, count)).transpose()?;
        Ok(samples(self.generator, &self.z.narrow(0, from, count)?, classes.as_ref())?)
    }
}

fn latents(path: &Path, dim: usize, count: Option<usize>) -> Result<Tensor> {
    let mut array = VectorArray::open(path, dim)?;
    let n = array.len();
    if let Some(count) = count.filter(|count| *count > n) {
        bail!("{}: holds {n} latent vectors, --count asks for {count}", path.display());
    }
    let count = count.unwrap_or(n);
    Ok(Tensor::from_vec(array.first(count)?, (count, dim), &Device::Cpu)?)
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

/// float32 in the .npy format, version 1.0 (NumPy Enhancement Proposal 1), made a part at a time; points in their own units.
fn write_npy(made: &Made, (sample, units): (&[usize], Option<&Units>), out: &Path) -> Result<()> {
    let count = made.z.dim(0)?;
    let shape = [&[count], sample].concat();
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sides.join(", "));
    // Magic, version and length take 10 bytes; the whole header is a multiple of 64 and ends in a new line.
    let padded = (10 + dict.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = Vec::with_capacity(10 + padded + 4 * shape.iter().product::<usize>());
    bytes.extend(b"\x93NUMPY\x01\x00");
    bytes.extend((padded as u16).to_le_bytes());
    bytes.extend(format!("{dict:<width$}\n", width = padded - 1).bytes());
    for from in (0..count).step_by(AT_ONCE) {
        let part = made.part(from, AT_ONCE.min(count - from))?;
        let values = part.flatten_all()?.to_vec1::<f32>()?;
        let values = units.map_or_else(|| values.clone(), |units| units.restored(&values));
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    atomic::write(out, &bytes)?;
    say::line(out.display())
}

fn write_folder(made: &Made, units: Option<&Units>, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be created", out.display()))?;
    let count = made.z.dim(0)?;
    let digits = count.to_string().len().max(4);
    for from in (0..count).step_by(AT_ONCE) {
        let part = made.part(from, AT_ONCE.min(count - from))?;
        for (i, picture) in pictures::singles(&part, units)?.iter().enumerate() {
            picture.save_png(&out.join(format!("{:0digits$}.png", from + i)))?;
        }
    }
    say::line(format_args!("{} ({count} images)", out.display()))
}
