//! `gan generate`.

use crate::args::{MOST, Usage, count, usage, whole};
use crate::interrupt::Interrupt;
use crate::output::{Form, Output};
use crate::sheets::{self, SheetArgs, Size, Subject};
use crate::{print, source};
use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use clap::Args;
use gan_base::Rng;
use gan_base::atomic::AtomicFolder;
use gan_base::messages::counted;
use gan_core::check_finite;
use gan_core::{Generator, Latent};
use gan_core::{classes_in_turn, samples, samples_at_once};
use gan_data::Units;
use gan_data::npy::{NpyFile, VectorArray};
use gan_report::{NpyWriter, Picture};
use gan_run::pictures;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan generate runs/first --out digits.png\n  gan generate generator.safetensors --count 20 --grid 4x5 --seed 3\n  gan generate generator.safetensors --count 1000 --out images/\n  gan generate generator.safetensors --latents z.npy --out images.npy\n  gan generate generator.safetensors --seeds 1-64 --out seeds.png\n  gan generate runs/first --count 1000 --top 32 --bottom 32 --out ranked.png\n  gan generate generator.safetensors --out - | display"
)]
pub struct GenerateArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// Number of samples [default: the grid's cells, or 64; with --latents, the number in the file].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 1_000_000))]
    pub count: Option<usize>,
    /// Seed of the latent vectors.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Latent vectors from a file: float32 [N, latent].
    #[arg(long, value_name = "Z.npy", conflicts_with = "seed")]
    pub latents: Option<PathBuf>,
    /// FILE.png for a sheet, FILE.npy for float32 [N, C, H, W] in the data's range, - for a PNG on standard output, or a new or
    /// empty folder for a PNG each.
    #[arg(long, value_name = "PATH", default_value = "samples.png")]
    pub out: PathBuf,
    /// Rows and columns of the sheet [default: as square as possible].
    #[arg(long, value_name = "RxC", conflicts_with_all = ["truncations", "top", "bottom"], allow_negative_numbers = true, value_parser = parse_grid)]
    pub grid: Option<(usize, usize)>,
    /// Class of the samples, by name, or by number if no class has a number as its name, for a conditional generator [default: each in
    /// turn].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
    /// Resample latent numbers further than this from 0: less variety, mostly better samples [default: the weight file's value].
    #[arg(long, value_name = "T", conflicts_with = "latents", allow_negative_numbers = true, value_parser = truncation)]
    pub truncation: Option<f64>,
    #[command(flatten)]
    pub sheet: SheetArgs,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// Below a hundredth, nearly every draw would be rejected.
pub fn truncation(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.01..=1000.0).contains(&t) => Ok(t),
        _ => Err("expected a number from 0.01 to 1000, e.g. 0.7".into()),
    }
}

/// Maximum number of rows and columns of a sheet.
const MOST_CELLS: usize = 1000;

fn parse_grid(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.trim().parse().ok().filter(|n| (1..=MOST_CELLS).contains(n));
    let sides = text.split_once(['x', 'X', '×']).and_then(|(rows, columns)| Some((side(rows)?, side(columns)?)));
    sides.ok_or_else(|| format!("expected rows x columns of 1 to {MOST_CELLS} each, e.g. 8x8"))
}

/// Maximum number of samples on a sheet that is still readable.
const LARGEST_SHEET: usize = 10_000;

/// Generates samples and writes them in the form of the output's name.
pub fn run(args: &GenerateArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Png, Form::Npy, Form::Folder, Form::Stdout])?;
    let is_sheet = matches!(out.form, Form::Png | Form::Stdout);
    if args.grid.is_some() && !is_sheet {
        return Err(
            Usage(format!("--grid arranges a sheet, but {} is not a .png: name a .png", args.out.display())).into()
        );
    }
    if let Some(option) = args.sheet.option().filter(|_| !is_sheet) {
        return Err(
            Usage(format!("{option} draws a sheet, but {} is not a .png: name a .png", args.out.display())).into()
        );
    }
    let weights = source::weight_file(&args.source)?;
    out.keep_apart_from([Some(&weights), args.latents.as_ref()].into_iter().flatten().map(|path| path.as_path()))?;
    let (description, generator, device) = source::sampler(&args.source, &args.device)?;
    if args.sheet.option().is_some() {
        let class =
            args.class.as_ref().map(|name| source::class(&description, generator.as_ref(), name)).transpose()?;
        let subject = Subject {
            source: &args.source,
            description: &description,
            generator: generator.as_ref(),
            device: &device,
            class,
            within: args.truncation.or(description.latent.truncation),
            seed: args.seed,
        };
        return save(&sheets::draw(&args.sheet, &subject, &Size { count: args.count, grid: args.grid })?, &out);
    }
    let (latents, count) = latents(args, &description.latent)?;
    if count == 0 {
        return Err(Usage("there are no latent vectors to make samples from; expected at least 1".into()).into());
    }
    let classes = match &args.class {
        Some(name) => Some(Tensor::full(source::class(&description, generator.as_ref(), name)?, count, &device)?),
        None => classes_in_turn(generator.as_ref(), count, &device)?,
    };
    let made = Made { generator: generator.as_ref(), latents, classes, device, next: 0, count };
    let units = source::units(&description);
    let sample = &description.data.shape;
    match out.form {
        Form::Npy => write_npy(made, sample, units.as_ref(), &out.path),
        Form::Folder => write_folder(made, units.as_ref(), &out.path),
        _ => write_sheet(made, sample, units.as_ref(), args.grid, &out),
    }
}

/// Source of latent vectors. Each is drawn when it is needed, because a million may not fit into memory.
enum Latents {
    Given(Tensor),
    Drawn { latent: Latent, within: Option<f64>, rng: Rng },
}

/// Returns the latent vectors for `args`, and the number of samples.
fn latents(args: &GenerateArgs, latent: &Latent) -> Result<(Latents, usize)> {
    if let Some(path) = &args.latents {
        let z = latents_of(path, latent.dim, args.count)?;
        let count = z.dim(0)?;
        return Ok((Latents::Given(z), count));
    }
    let count = args.count.or(args.grid.map(|(rows, columns)| rows * columns)).unwrap_or(64);
    let rng = Rng::stream(args.seed, "generate");
    Ok((Latents::Drawn { latent: *latent, within: args.truncation.or(latent.truncation), rng }, count))
}

fn latents_of(path: &Path, dim: usize, count: Option<usize>) -> Result<Tensor> {
    let mut array = VectorArray::of(NpyFile::open(path)?, dim)?;
    let n = array.count();
    if let Some(count) = count.filter(|count| *count > n) {
        bail!("{}: holds {}, --count asks for {count}", path.display(), counted(n, "latent vector"))
    }
    let count = count.unwrap_or(n);
    Ok(Tensor::from_vec(array.first(count)?, (count, dim), &Device::Cpu)?)
}

/// Source of samples, and the number generated so far.
struct Made<'a> {
    generator: &'a dyn Generator,
    latents: Latents,
    classes: Option<Tensor>,
    device: Device,
    next: usize,
    count: usize,
}

impl Made<'_> {
    /// Returns the next samples, at most `most`; `None` when all are generated.
    fn next(&mut self, most: usize) -> Result<Option<Tensor>> {
        let (from, n) = (self.next, most.min(self.count - self.next));
        if n == 0 {
            return Ok(None);
        }
        let z = match &mut self.latents {
            Latents::Given(z) => z.narrow(0, from, n)?.to_device(&self.device)?,
            Latents::Drawn { latent, within: Some(most), rng } => latent.sample_within(*most, n, rng, &self.device)?,
            Latents::Drawn { latent, within: None, rng } => latent.sample(n, rng, &self.device)?,
        };
        let classes = self.classes.as_ref().map(|classes| classes.narrow(0, from, n)).transpose()?;
        let made = samples(self.generator, &z, classes.as_ref())?;
        check_finite(&made, |row| format!("the generator's sample {}", from + row))?;
        self.next += n;
        Ok(Some(made))
    }
}

/// Returns rows and columns for `count` samples: as given, or as square as possible.
fn cells(count: usize, given: Option<(usize, usize)>) -> Result<(usize, usize)> {
    match given {
        Some((rows, columns)) if rows * columns < count => {
            let (cells, samples) = (counted(rows * columns, "cell"), counted(count, "sample"));
            Err(Usage(format!("--grid {rows}x{columns} has {cells} for {samples}")).into())
        }
        Some(grid) => Ok(grid),
        None => Ok(square(count)),
    }
}

/// Returns the rows and columns of the squarest sheet for `count` samples.
pub fn square(count: usize) -> (usize, usize) {
    let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
    (count.div_ceil(columns), columns)
}

fn write_sheet(
    mut made: Made,
    sample: &[usize],
    units: Option<&Units>,
    grid: Option<(usize, usize)>,
    out: &Output,
) -> Result<()> {
    let count = made.count;
    if count > LARGEST_SHEET {
        let problem = format!("a sheet holds at most {LARGEST_SHEET} samples; name a folder or a .npy file");
        return Err(usage(format_args!("--count {count}"), problem));
    }
    let (rows, columns) = cells(count, grid)?;
    pictures::check_sheet(sample, rows, columns)
        .map_err(|error| usage(format_args!("a sheet of {rows} by {columns} samples (--count, --grid)"), error))?;
    let Some(all) = made.next(count)? else { return Ok(()) };
    save(&pictures::sheet(&all, units, rows, columns)?, out)
}

/// Writes a sheet to its file or to standard output.
fn save(sheet: &Picture, out: &Output) -> Result<()> {
    if out.form == Form::Stdout {
        return print::bytes(&sheet.to_png()?);
    }
    sheet.save_png(&out.path)?;
    print::line(out.path.display())
}

/// Writes float32 `[N, …]`, generated and written in parts; points in their original units.
fn write_npy(mut made: Made, sample: &[usize], units: Option<&Units>, out: &Path) -> Result<()> {
    let at_once = samples_at_once(made.generator)?;
    let interrupt = Interrupt::watch(|| {})?;
    let mut file = NpyWriter::create(out, &[&[made.count], sample].concat())?;
    while let Some(part) = made.next(at_once)? {
        let mut values = part.flatten_all()?.to_vec1::<f32>()?;
        // Networks see colors times alpha; files hold the colors themselves.
        if let [4, height, width] = *sample {
            gan_report::straighten(&mut values, height * width);
        }
        file.write(&units.map_or_else(|| values.clone(), |units| units.restored(&values)))?;
        interrupt.check()?;
    }
    file.finish()?;
    print::line(out.display())
}

/// Writes one picture per sample into a folder that appears when it is complete.
fn write_folder(mut made: Made, units: Option<&Units>, out: &Path) -> Result<()> {
    let at_once = samples_at_once(made.generator)?;
    let interrupt = Interrupt::watch(|| {})?;
    let folder = AtomicFolder::create(out)?;
    let digits = made.count.to_string().len().max(4);
    let mut number = 0;
    while let Some(part) = made.next(at_once)? {
        for picture in pictures::singles(&part, units)? {
            folder.write(&format!("{number:0digits$}.png"), &picture.to_png()?)?;
            number += 1;
        }
        interrupt.check()?;
    }
    folder.commit()?;
    print::line(format_args!("{} ({})", out.display(), counted(number, "image")))
}
