//! Sheets of `gan generate` with captions: the samples of many seeds, of several truncations, and those that the discriminator ranks first
//! and last.

use crate::args::{Usage, count, usage};
use crate::generate::{square, truncation};
use crate::seeds::{self, Seeds};
use crate::source;
use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::Args;
use gan_base::Rng;
use gan_base::messages::counted;
use gan_core::weights::Description;
use gan_core::{Discriminator, ForwardContext, Generator, LayeredDiscriminator};
use gan_core::{check_finite, classes_in_turn, samples, samples_at_once};
use gan_report::{Picture, Tile, tiles, titled};
use gan_run::pictures;
use std::path::Path;

#[derive(Args)]
pub struct SheetArgs {
    /// Draw one sample for each of these seeds under its number, e.g. 1-64,100. `--seed S --count 1` makes each alone.
    #[arg(long, value_name = "LIST", allow_negative_numbers = true, conflicts_with_all = ["count", "seed", "latents"], value_parser = seeds::parse)]
    pub seeds: Option<Seeds>,
    /// Draw each sample in a row, once for each of these truncations, e.g. none,2,1,0.5,0.2. Each number of a latent vector keeps its
    /// quantile.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = column, conflicts_with_all = ["latents", "truncation", "seeds"])]
    pub truncations: Vec<Column>,
    /// Of the samples, draw the N that the run's discriminator finds most real, under their numbers and logits.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 1000), conflicts_with_all = ["truncations", "seeds", "latents"])]
    pub top: Option<usize>,
    /// Of the samples, draw the N that the run's discriminator finds least real.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 1000), conflicts_with_all = ["truncations", "seeds", "latents"])]
    pub bottom: Option<usize>,
}

/// A column of a sheet of truncations.
#[derive(Clone, Copy, Debug)]
pub struct Column(Option<f64>);

fn column(text: &str) -> Result<Column, String> {
    match text.trim() {
        "none" => Ok(Column(None)),
        number => truncation(number).map(|most| Column(Some(most))),
    }
}

/// Rows of a sheet of truncations, and samples to rank, if no number is given.
const ROWS: usize = 8;
const RANKED: usize = 1000;
/// Maximum number of samples to rank: all are kept until the sheet is drawn.
const MOST_RANKED: usize = 10_000;
/// Maximum number of samples on a sheet.
const MOST_TILES: usize = 10_000;
/// Width that small samples are enlarged to, in pixels.
const WIDTH: usize = 64;

impl SheetArgs {
    /// Returns the option that asks for such a sheet.
    pub fn option(&self) -> Option<&'static str> {
        match (&self.seeds, &self.truncations[..], self.top.or(self.bottom)) {
            (Some(_), ..) => Some("--seeds"),
            (None, [_, ..], _) => Some("--truncations"),
            (None, [], Some(_)) => Some(if self.top.is_some() { "--top" } else { "--bottom" }),
            (None, [], None) => None,
        }
    }
}

/// What the samples of a sheet are made from.
pub struct Subject<'a> {
    pub source: &'a Path,
    pub description: &'a Description,
    pub generator: &'a dyn Generator,
    pub device: &'a Device,
    /// Class of all samples.
    pub class: Option<u32>,
    /// Truncation of all samples.
    pub within: Option<f64>,
    pub seed: u64,
}

/// Number and arrangement of the samples, as far as they are given.
pub struct Size {
    pub count: Option<usize>,
    pub grid: Option<(usize, usize)>,
}

/// Draws the sheet that the options ask for.
pub fn draw(args: &SheetArgs, subject: &Subject, size: &Size) -> Result<Picture> {
    if let Some(seeds) = &args.seeds {
        return of_seeds(seeds, subject, size.grid);
    }
    match args.truncations.is_empty() {
        false => of_truncations(&args.truncations, subject, size.count.unwrap_or(ROWS)),
        true => ranked([args.top, args.bottom], subject, size.count.unwrap_or(RANKED)),
    }
}

impl Subject<'_> {
    /// Generates a sample for each latent vector, of its class.
    fn samples(&self, z: &Tensor, classes: Option<&Tensor>) -> Result<Tensor> {
        let made = samples(self.generator, z, classes)?;
        check_finite(&made, |row| format!("the generator's sample {row}"))?;
        Ok(made)
    }

    /// Returns a class for each of `n` samples: the given one, or each in turn.
    fn classes(&self, n: usize) -> Result<Option<Tensor>> {
        Ok(match self.class {
            Some(class) => Some(Tensor::full(class, n, self.device)?),
            None => classes_in_turn(self.generator, n, self.device)?,
        })
    }

    /// Draws `n` latent vectors from the seed, as `gan generate` does.
    fn latents(&self, n: usize, within: Option<f64>) -> Result<Tensor> {
        let latent = &self.description.latent;
        let mut rng = Rng::stream(self.seed, "generate");
        Ok(match within {
            Some(most) => latent.sample_within(most, n, &mut rng, self.device)?,
            None => latent.sample(n, &mut rng, self.device)?,
        })
    }

    /// Draws each sample, small ones enlarged, under its caption.
    fn tiles(&self, made: &Tensor, captions: Vec<String>) -> Result<Vec<Tile>> {
        let singles = pictures::singles(made, source::units(self.description).as_ref())?;
        let enlarged = |(picture, caption): (Picture, String)| {
            let picture = picture.enlarged(WIDTH.div_ceil(picture.width()))?;
            Ok(Tile { picture, caption })
        };
        singles.into_iter().zip(captions).map(enlarged).collect()
    }

    /// Checks before anything is computed that a sheet is not too large.
    fn check(&self, option: &str, rows: usize, columns: usize) -> Result<()> {
        let cells = rows.saturating_mul(columns);
        if cells > MOST_TILES {
            let problem = format!("a sheet of {cells} samples; expected at most {MOST_TILES}");
            return Err(usage(option, problem));
        }
        pictures::check_sheet(&self.description.data.shape, rows, columns).map_err(|error| usage(option, error))
    }
}

/// Draws the first sample of each seed.
fn of_seeds(seeds: &Seeds, subject: &Subject, grid: Option<(usize, usize)>) -> Result<Picture> {
    let count = seeds.0.len();
    let (rows, columns) = grid.unwrap_or_else(|| square(count));
    if rows * columns < count {
        return Err(Usage(format!("--grid {rows}x{columns} is too small for {}", counted(count, "seed"))).into());
    }
    subject.check("--seeds", rows, columns)?;
    let z = seeds::latents(seeds, &subject.description.latent, subject.within, subject.device)?;
    // The class of the first sample of `gan generate`.
    let class = subject.class.or(subject.generator.classes().map(|_| 0));
    let classes = class.map(|class| Tensor::full(class, count, subject.device)).transpose()?;
    let made = subject.samples(&z, classes.as_ref())?;
    let captions = seeds.0.iter().map(|seed| format!("seed {seed}")).collect();
    Ok(tiles(&subject.tiles(&made, captions)?, columns)?)
}

/// Draws a row for each sample and a column for each truncation.
fn of_truncations(columns: &[Column], subject: &Subject, rows: usize) -> Result<Picture> {
    subject.check("--truncations", rows, columns.len())?;
    let latent = &subject.description.latent;
    let whole = subject.latents(rows, None)?.to_vec2::<f32>()?;
    let moved = |row: &Vec<f32>, Column(within): &Column| -> Vec<f32> {
        row.iter().map(|z| latent.from_normal(*within, latent.to_normal(None, *z))).collect()
    };
    let z: Vec<Vec<f32>> = whole.iter().flat_map(|row| columns.iter().map(move |column| moved(row, column))).collect();
    let of_row = |row: u32| vec![row; columns.len()];
    let classes = subject.classes(rows)?.map(|classes| classes.to_vec1::<u32>()).transpose()?;
    let classes =
        classes.map(|classes| Tensor::new(classes.into_iter().flat_map(of_row).collect::<Vec<u32>>(), subject.device));
    let made = subject.samples(&Tensor::new(z, subject.device)?, classes.transpose()?.as_ref())?;
    let head = |Column(within): &Column| within.map_or("none".into(), |most| format!("± {most}"));
    let mut captions: Vec<String> = columns.iter().map(head).collect();
    captions.resize(rows * columns.len(), String::new());
    Ok(tiles(&subject.tiles(&made, captions)?, columns.len())?)
}

/// Draws the samples with the highest and the lowest logits.
fn ranked([top, bottom]: [Option<usize>; 2], subject: &Subject, count: usize) -> Result<Picture> {
    if count > MOST_RANKED {
        return Err(usage(format_args!("--count {count}"), format!("expected at most {MOST_RANKED} samples to rank")));
    }
    let shown = top.unwrap_or(0).max(bottom.unwrap_or(0));
    if shown > count {
        return Err(
            Usage(format!("--top and --bottom show {shown} of {}: raise --count", counted(count, "sample"))).into()
        );
    }
    subject.check("--count", square(count).0, square(count).1)?;
    let shape = &subject.description.data.shape;
    let discriminator = source::discriminator(subject.source, shape, subject.device)?;
    let z = subject.latents(count, subject.within)?;
    let classes = subject.classes(count)?;
    let made = subject.samples(&z, classes.as_ref())?;
    let logits = logits(&discriminator, &made, classes.as_ref(), samples_at_once(subject.generator)?)?;
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let part = |title: String, order: Vec<usize>| -> Result<(String, Picture)> {
        let rows = Tensor::new(order.iter().map(|row| *row as u32).collect::<Vec<_>>(), subject.device)?;
        let captions = order.iter().map(|row| format!("{row}: {:.2}", logits[*row])).collect();
        let tiles_of = subject.tiles(&made.index_select(&rows, 0)?, captions)?;
        Ok((title, tiles(&tiles_of, square(shown).1)?))
    };
    let of = format!("of {count} samples (number: logit)");
    let mut parts = vec![];
    if let Some(n) = top {
        parts.push(part(format!("D's highest {of}"), order[..n].to_vec())?);
    }
    if let Some(n) = bottom {
        parts.push(part(format!("D's lowest {of}"), order.iter().rev().take(n).copied().collect())?);
    }
    Ok(titled(&parts)?)
}

/// Returns D's logit of each sample.
fn logits(d: &LayeredDiscriminator, made: &Tensor, classes: Option<&Tensor>, at_once: usize) -> Result<Vec<f32>> {
    let count = made.dim(0)?;
    let mut logits = Vec::with_capacity(count);
    for from in (0..count).step_by(at_once) {
        let n = at_once.min(count - from);
        let classes = classes.map(|classes| classes.narrow(0, from, n)).transpose()?;
        let output = d.forward(&made.narrow(0, from, n)?, &mut ForwardContext::eval().of_classes(classes.as_ref()))?;
        logits.extend(output.logits.to_vec1::<f32>()?);
    }
    Ok(logits)
}
