//! `gan data inspect`: what is in a data set, in numbers and as a sheet.

use super::args::InspectArgs;
use super::chosen::{self, Chosen};
use crate::args::Usage;
use crate::output::{Form, Output};
use crate::quoting::visible_name;
use crate::say;
use anyhow::Result;
use gan_core::wording::counted;
use gan_data::Dataset;
use gan_report::{Images, grid};
use serde_json::json;
use std::path::Path;

/// The most images that the pixels' mean and spread are taken over.
const SAMPLE: usize = 1000;

/// The most images on the sheet.
const SHEET: usize = 64;

/// The most classes that are listed one by one.
const CLASSES: usize = 100;

/// Mean and spread over a sample of the data, by channel, or by coordinate of points.
struct Pixels {
    images: usize,
    mean: Vec<f64>,
    /// The standard deviation.
    spread: Vec<f64>,
}

/// Looks into the data that `args` name.
pub fn run(args: &InspectArgs) -> Result<()> {
    let out = args.out.as_ref();
    let out = out.map(|path| Output::new("--out", path, &[Form::Png])).transpose()?;
    let keep_apart = |inputs: &[&Path]| out.iter().try_for_each(|out| out.keep_apart_from(inputs.iter().copied()));
    keep_apart(&[Path::new(&args.source.source)])?;
    let chosen = chosen::open(&args.source)?;
    keep_apart(chosen.files.as_deref().as_slice())?;
    let data = chosen.data.as_ref();
    let pixels = pixels(data)?;
    if let Some(out) = &out {
        draw(data, out.path())?;
    }
    match args.json {
        true => say::json(as_json(&chosen, &pixels)),
        false => say::text(as_text(&chosen, &pixels)),
    }
}

/// Up to `most` numbers of images, evenly spread over the data.
fn spread_out(data: &dyn Dataset, most: usize) -> impl Iterator<Item = usize> {
    let (len, count) = (data.len(), data.len().min(most));
    (0..count).map(move |i| (i as u128 * len as u128 / count as u128) as usize)
}

fn pixels(data: &dyn Dataset) -> Result<Pixels> {
    let (groups, mut image) = (data.shape()[0], vec![0.0; data.pixels()]);
    let mut sums = vec![[0.0f64; 2]; groups];
    let each = data.pixels() / groups;
    for index in spread_out(data, SAMPLE) {
        data.write(index, &mut image)?;
        for (sum, plane) in sums.iter_mut().zip(image.chunks_exact(each)) {
            plane.iter().map(|&v| f64::from(v)).for_each(|v| *sum = [sum[0] + v, sum[1] + v * v]);
        }
    }
    let images = data.len().min(SAMPLE);
    let count = (images * each) as f64;
    let mean: Vec<f64> = sums.iter().map(|sum| sum[0] / count).collect();
    let spread = sums.iter().zip(&mean).map(|(sum, mean)| (sum[1] / count - mean * mean).max(0.0).sqrt()).collect();
    Ok(Pixels { images, mean, spread })
}

/// Writes the sheet to `out`.
fn draw(data: &dyn Dataset, out: &Path) -> Result<()> {
    let [channels, height, width] = <[usize; 3]>::try_from(data.shape())
        .map_err(|_| Usage("--out: the samples are points, and a sheet shows images: leave it out".into()))?;
    let indices: Vec<usize> = spread_out(data, SHEET).collect();
    let mut values = vec![0.0; indices.len() * data.pixels()];
    for (&index, image) in indices.iter().zip(values.chunks_exact_mut(data.pixels())) {
        data.write(index, image)?;
    }
    let columns = (1..).find(|n| n * n >= indices.len()).unwrap_or(1);
    let images = Images::new(&values, [indices.len(), channels, height, width])?;
    Ok(grid(&images, indices.len().div_ceil(columns), columns)?.save_png(out)?)
}

/// How many images each class has, in the order of the classes.
fn counts(data: &dyn Dataset) -> Vec<(&String, usize)> {
    let mut counts: Vec<(&String, usize)> = data.classes().iter().map(|name| (name, 0)).collect();
    for label in (0..data.len()).filter_map(|index| data.label(index)) {
        counts.get_mut(label as usize).into_iter().for_each(|(_, count)| *count += 1);
    }
    counts
}

fn as_text(chosen: &Chosen, pixels: &Pixels) -> String {
    let (data, rounded) =
        (chosen.data.as_ref(), |values: &[f64]| values.iter().map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(" "));
    let what = match data.shape().as_slice() {
        [1, h, w] => format!("{} of {h}×{w}", counted(data.len(), "grey image")),
        [3, h, w] => format!("{} of {h}×{w}", counted(data.len(), "colour image")),
        [c, h, w] => format!("{} of {h}×{w} in {}", counted(data.len(), "image"), counted(c, "channel")),
        other => format!("{} of {}", counted(data.len(), "point"), counted(other[0], "coordinate")),
    };
    let mut text = format!("{}: {what}\n", visible_name(&chosen.name));
    text += &format!("made from:  {}\n", visible_name(&chosen.from));
    text += &format!("values:     mean {}\n", rounded(&pixels.mean));
    text += &format!("            spread {}\n", rounded(&pixels.spread));
    text += &format!("            in [−1, 1], over {}\n", counted(pixels.images, "sample"));
    text += &format!("classes:    {}\n", data.classes().len());
    text += &class_lines(&counts(data));
    text += &format!("skipped:    {}\n", counted(data.skipped().len(), "file"));
    for file in data.skipped() {
        text += &format!("  {}: {}\n", visible_name(&file.path.to_string_lossy()), file.reason);
    }
    text
}

/// A line a class, or one for all where they are many.
fn class_lines(counts: &[(&String, usize)]) -> String {
    if counts.len() <= CLASSES {
        return counts.iter().map(|(name, count)| format!("  {count:>8}  {}\n", visible_name(name))).collect();
    }
    let sizes = || counts.iter().map(|(_, count)| *count);
    let [few, most] = [sizes().min(), sizes().max()].map(|size| size.unwrap_or(0));
    format!("  {few} to {most} images each; --json counts every one\n")
}

fn as_json(chosen: &Chosen, pixels: &Pixels) -> serde_json::Value {
    let data = chosen.data.as_ref();
    let classes: Vec<_> = counts(data).iter().map(|(name, count)| json!({ "name": name, "count": count })).collect();
    let skipped =
        data.skipped().iter().map(|file| json!({ "path": file.path.display().to_string(), "reason": file.reason }));
    json!({
        "name": chosen.name,
        "made_from": chosen.from,
        "count": data.len(),
        "shape": data.shape(),
        "classes": classes,
        "skipped": skipped.collect::<Vec<_>>(),
        "values": { "samples": pixels.images, "mean": pixels.mean, "spread": pixels.spread },
    })
}
