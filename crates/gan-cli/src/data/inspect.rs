//! `gan data inspect`: the contents of a data set, in numbers and as a sheet.

use super::SourceArgs;
use super::chosen::{self, Chosen, Purpose};
use crate::args::Usage;
use crate::generate::square;
use crate::output::{Form, Output};
use crate::print::{self, visible_name};
use crate::progress::Meter;
use anyhow::{Result, bail};
use clap::Args;
use gan_base::messages::counted;
use gan_data::images::Inventory;
use gan_data::{Dataset, Error, Skipped};
use gan_report::{Images, grid};
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan data inspect mnist --out digits.png\n  gan data inspect pictures/ --size 64 --json\n  gan data inspect faces.ganpack --all"
)]
pub struct InspectArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Decode every image instead of up to 1,000, and list all that cannot be decoded.
    #[arg(long)]
    pub all: bool,
    /// Draw up to 64 of the images, evenly spread over the data set, as a sheet.
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Maximum number of images that are checked and used for the mean and spread of pixels, without `--all`.
const SAMPLE: usize = 1000;

/// Number of images that are decoded in parallel.
const AT_ONCE: usize = 256;

/// Maximum number of images on the sheet.
const SHEET: usize = 64;

/// Maximum number of classes, and of small images, that are listed individually.
const CLASSES: usize = 100;

/// Statistics of the samples that were read.
struct Pixels {
    /// Number of images that could be read.
    images: usize,
    /// Files whose pixels cannot be read.
    broken: Vec<Skipped>,
    /// Mean per channel, or per coordinate of points.
    mean: Vec<f64>,
    /// Standard deviation.
    spread: Vec<f64>,
}

/// Inspects the data that `args` select.
pub fn run(args: &InspectArgs, quiet: bool) -> Result<()> {
    let out = args.out.as_ref();
    let out = out.map(|path| Output::new("--out", path, &[Form::Png])).transpose()?;
    let keep_apart = |inputs: &[&Path]| out.iter().try_for_each(|out| out.keep_apart_from(inputs.iter().copied()));
    keep_apart(&[Path::new(&args.source.source)])?;
    let chosen = chosen::open(&args.source, Purpose::Inspect)?;
    keep_apart(chosen.files.as_deref().as_slice())?;
    let data = chosen.data.as_ref();
    let pixels = pixels(data, args, quiet)?;
    if let Some(out) = &out {
        draw(data, &out.path)?;
    }
    match args.json {
        true => print::json(as_json(&chosen, &pixels)),
        false => print::text(as_text(&chosen, &pixels)),
    }
}

/// Returns up to `most` numbers of images, evenly spread over the data.
fn spread_out(data: &dyn Dataset, most: usize) -> impl Iterator<Item = usize> {
    let (len, count) = (data.len(), data.len().min(most));
    (0..count).map(move |i| (i as u128 * len as u128 / count as u128) as usize)
}

/// Sums of one sample's values and of their squares per channel, or its file if it cannot be read.
type Sums = std::result::Result<Vec<[f64; 2]>, Skipped>;

fn pixels(data: &dyn Dataset, args: &InspectArgs, quiet: bool) -> Result<Pixels> {
    let indices: Vec<usize> = spread_out(data, if args.all { usize::MAX } else { SAMPLE }).collect();
    let mut sums = vec![[0.0f64; 2]; data.shape()[0]];
    let mut broken = Vec::new();
    let mut meter = Meter::new(quiet || !args.all);
    for (at, some) in indices.chunks(AT_ONCE).enumerate() {
        let read: Vec<Result<Sums>> = some.par_iter().map(|index| read(data, *index, args)).collect();
        // In the samples' order, so that the sums are the same for any number of threads.
        for one in read {
            match one? {
                Ok(of_one) => sums.iter_mut().zip(of_one).for_each(|(sum, [a, b])| *sum = [sum[0] + a, sum[1] + b]),
                Err(skipped) => broken.push(skipped),
            }
        }
        meter.show("checking", (at * AT_ONCE + some.len()) as u64, indices.len() as u64, "image");
    }
    meter.end();
    let images = indices.len() - broken.len();
    if let (0, false, Some(first)) = (images, args.all, broken.first()) {
        let path = first.path.to_string_lossy();
        let first = format!("the first, {}: {}", visible_name(&path), first.reason);
        bail!("none of {} images can be read; {first}; get them again, or name other data", broken.len());
    }
    let count = (images * data.pixels() / sums.len()) as f64;
    let mean: Vec<f64> = sums.iter().map(|sum| sum[0] / count).collect();
    let spread = sums.iter().zip(&mean).map(|(sum, mean)| (sum[1] / count - mean * mean).max(0.0).sqrt()).collect();
    Ok(Pixels { images, broken, mean, spread })
}

fn read(data: &dyn Dataset, index: usize, args: &InspectArgs) -> Result<Sums> {
    let mut image = vec![0.0; data.pixels()];
    match data.try_write(index, &mut image) {
        Ok(None) => {}
        Ok(Some(skipped)) => return Ok(Err(skipped)),
        // A damaged image of a pack.
        Err(Error::File { path, what, found, .. }) if args.all && !args.source.strict => {
            return Ok(Err(Skipped { path, reason: format!("{what}: {found}") }));
        }
        Err(error) => return Err(error.into()),
    }
    let sums = |plane: &[f32]| {
        plane.iter().map(|&v| f64::from(v)).fold([0.0, 0.0], |[sum, squares], v| [sum + v, squares + v * v])
    };
    Ok(Ok(image.chunks_exact(data.pixels() / data.shape()[0]).map(sums).collect()))
}

/// Writes the sheet to `out`.
fn draw(data: &dyn Dataset, out: &Path) -> Result<()> {
    let [channels, height, width] = <[usize; 3]>::try_from(data.shape())
        .map_err(|_| Usage("--out: the samples are points, and a sheet shows images: leave it out".into()))?;
    let mut values = Vec::new();
    let mut image = vec![0.0; data.pixels()];
    for index in spread_out(data, SHEET) {
        if data.try_write(index, &mut image)?.is_none() {
            values.extend_from_slice(&image);
        }
    }
    let count = values.len() / data.pixels();
    if count == 0 {
        bail!("--out: none of the images for the sheet can be read");
    }
    let (rows, columns) = square(count);
    let images = Images::new(&values, [count, channels, height, width])?;
    Ok(grid(&images, rows, columns)?.save_png(out)?)
}

/// Returns the number of images in each class, in the order of the classes.
fn counts(data: &dyn Dataset) -> Vec<(&String, usize)> {
    let mut counts: Vec<(&String, usize)> = data.classes().iter().map(|name| (name, 0)).collect();
    for label in (0..data.len()).filter_map(|index| data.label(index)) {
        counts.get_mut(label as usize).into_iter().for_each(|(_, count)| *count += 1);
    }
    counts
}

fn as_text(chosen: &Chosen, pixels: &Pixels) -> String {
    let data = chosen.data.as_ref();
    let rounded = |values: &[f64]| values.iter().map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(" ");
    let what = match data.shape().as_slice() {
        [1, h, w] => format!("{} of {h}×{w}", counted(data.len(), "gray image")),
        [3, h, w] => format!("{} of {h}×{w}", counted(data.len(), "color image")),
        [4, h, w] => format!("{} of {h}×{w} with alpha", counted(data.len(), "color image")),
        [c, h, w] => format!("{} of {h}×{w} in {}", counted(data.len(), "image"), counted(c, "channel")),
        other => format!("{} of {}", counted(data.len(), "point"), counted(other[0], "coordinate")),
    };
    let mut lines = vec![
        format!("{}: {what}", visible_name(&chosen.name)),
        format!("made from:  {}", visible_name(&chosen.from)),
        format!("values:     mean {}", rounded(&pixels.mean)),
        format!("            spread {}", rounded(&pixels.spread)),
        format!("            in [−1, 1], over {}", counted(pixels.images, "sample")),
    ];
    let why = data.inventory().and_then(|inventory| inventory.no_classes.as_deref());
    let why = why.map_or(String::new(), |why| format!(" ({})", visible_name(why)));
    lines.push(format!("classes:    {}{why}", data.classes().len()));
    let counts = counts(data);
    if counts.len() <= CLASSES {
        lines.extend(counts.iter().map(|(name, count)| format!("  {count:>8}  {}", visible_name(name))));
    } else {
        let sizes = || counts.iter().map(|(_, count)| *count);
        let [few, most] = [sizes().min(), sizes().max()].map(|size| size.unwrap_or(0));
        lines.push(format!("  {few} to {most} images each; --json counts every one"));
    }
    let skipped: Vec<&Skipped> = skipped(data, pixels).collect();
    lines.push(format!("skipped:    {}", counted(skipped.len(), "file")));
    let skip =
        |file: &&Skipped| format!("  {}: {}", visible_name(&file.path.to_string_lossy()), visible_name(&file.reason));
    lines.extend(skipped.iter().map(skip));
    if pixels.images + pixels.broken.len() < data.len() {
        lines.push("            --all decodes every image to find more".into());
    }
    if let Some(inventory) = data.inventory() {
        lines.extend(inventory_lines(inventory));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Returns the files that cannot be read: those that were skipped at once, and those whose pixels are damaged.
fn skipped<'a>(data: &'a dyn Dataset, pixels: &'a Pixels) -> impl Iterator<Item = &'a Skipped> {
    data.skipped().iter().chain(&pixels.broken)
}

/// Returns lines about small images, and about files with other endings, if there are any.
fn inventory_lines(inventory: &Inventory) -> Vec<String> {
    let mut lines = vec![];
    if !inventory.small.is_empty() {
        let images = counted(inventory.small.len(), "image");
        lines.push(format!("too small:  {images}, about which data.small decides (refuse, skip or upscale)"));
        let shown = inventory.small.iter().take(CLASSES);
        lines.extend(shown.map(|image| format!("  {}", visible_name(&image.to_string()))));
        let more = inventory.small.len().saturating_sub(CLASSES);
        lines.extend((more > 0).then(|| format!("  {more} more; --json lists every one")));
    }
    if let Some(summary) = inventory.others.summary() {
        lines.push(format!("not read:   {}", visible_name(&summary)));
        for (ending, count) in inventory.others.endings().into_iter().take(CLASSES) {
            let ending = if ending.is_empty() { "without an ending".into() } else { visible_name(ending) };
            lines.push(format!("  {count:>8}  {ending}"));
        }
    }
    lines
}

fn as_json(chosen: &Chosen, pixels: &Pixels) -> serde_json::Value {
    let data = chosen.data.as_ref();
    let classes: Vec<_> = counts(data).iter().map(|(name, count)| json!({ "name": name, "count": count })).collect();
    let path = |path: &Path| path.display().to_string();
    let skipped = skipped(data, pixels).map(|file| json!({ "path": path(&file.path), "reason": file.reason }));
    let inventory = data.inventory().cloned().unwrap_or_default();
    let small = inventory.small.iter().map(|image| json!({ "path": path(&image.path), "size": image.size }));
    let endings = inventory.others.endings();
    let endings = endings.iter().map(|(ending, count)| json!({ "ending": ending, "count": count }));
    json!({
        "name": chosen.name,
        "made_from": chosen.from,
        "count": data.len(),
        "shape": data.shape(),
        "classes": classes,
        "skipped": skipped.collect::<Vec<_>>(),
        "checked": pixels.images + pixels.broken.len(),
        "small": small.collect::<Vec<_>>(),
        "other_files": { "count": inventory.others.count(), "endings": endings.collect::<Vec<_>>() },
        "no_classes": inventory.no_classes,
        "warnings": inventory.warnings,
        "values": { "samples": pixels.images, "mean": pixels.mean, "spread": pixels.spread },
    })
}
