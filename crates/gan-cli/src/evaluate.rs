//! `gan evaluate`: evaluates samples and prints metric cards.

use crate::args::{MOST, count, usage, whole};
use crate::progress::Meter;
use crate::{data, print, source};
use anyhow::{Context, Result};
use clap::Args;
use gan_base::Rng;
use gan_core::weights;
use gan_core::weights::Description;
use gan_core::{Generator, draw_classes, samples};
use gan_data::DatasetEntry;
use gan_data::npy::{self, NpyFile};
use gan_import::import::IMPORTED;
use gan_metrics::frechet::FID;
use gan_metrics::{Card, Metric, Protocol, SampleSet, format_value};
use gan_run::RunFolder;
use gan_run::evaluate::{self, Evaluator, Given, Request, Role, Subject};
use gan_train::config::EvaluateConfig;
use gan_train::{layering, presets};
use std::path::Path;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan evaluate runs/first\n  gan evaluate runs/first runs/second\n  gan evaluate runs/first --best --samples 2000 --json\n  gan evaluate made/ --data mnist\n  gan evaluate made/ --data pictures/ --floor\n  gan evaluate samples.npy --data pictures/ --metrics fd_texture,coverage\n  gan evaluate runs/first --protocol fid50k"
)]
pub struct EvaluateArgs {
    /// Run folders, generators' weight files, folders of images, or .npy files; several are shown side by side.
    #[arg(value_name = "RUN, FILE.safetensors, DIR or FILE.npy", required = true)]
    pub sources: Vec<String>,
    /// Real data: a data set's name, a folder of images (or a .zip, .npy or .npz of them), a pack, or with --protocol statistics [default: the
    /// generator's training data].
    #[arg(long, value_name = "NAME, DIR or FILE")]
    pub data: Option<String>,
    /// Number of samples to evaluate [default: all of a folder or an array, 10000 of a generator].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(2, 1_000_000))]
    pub samples: Option<usize>,
    /// Metrics to measure, e.g. fd_digits,coverage [default: those that fit the data].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = Metric::from_user)]
    pub metrics: Vec<&'static Metric>,
    /// Also measure real samples: between random halves of the folder or pack that --data names.
    #[arg(long)]
    pub floor: bool,
    /// Network that computes the features: auto, digits, inception, texture, thumbnails, or a classifier's weight file.
    #[arg(long, value_name = "NAME or FILE", default_value = "auto")]
    pub embedder: String,
    /// Follow a published protocol: fid50k is the FID of 50,000 samples against the whole training set, with Inception-v3's weights.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["samples", "metrics", "embedder", "floor"])]
    pub protocol: Option<Protocol>,
    /// Evaluate a run's best generator instead of the last.
    #[arg(long)]
    pub best: bool,
    /// Seed of the latent vectors and of every random choice of samples.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Change one of the real data's settings, e.g. data.split=train; may be repeated.
    #[arg(long, value_name = "data.KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Print one line of JSON per card.
    #[arg(long)]
    pub json: bool,
}

/// Number of samples if neither the user nor the published protocol specifies one.
const SAMPLES: usize = 10_000;

/// Generator of the samples.
type Maker = (Description, Box<dyn Generator>, candle_core::Device);

/// Evaluates each source and prints its card.
pub fn run(args: &EvaluateArgs, quiet: bool) -> Result<()> {
    let mut cards = Vec::new();
    for source in &args.sources {
        cards.push(card(source, args, quiet).with_context(|| source.clone())?);
    }
    if args.json {
        return cards.iter().try_for_each(|card| print::json(serde_json::to_string(card).unwrap_or_default()));
    }
    match cards.as_slice() {
        [card] => print::line(card.to_string().trim_end()),
        several => print::line(beside(several).trim_end()),
    }
}

fn card(source: &str, args: &EvaluateArgs, quiet: bool) -> Result<Card> {
    let (subject, maker) = subject(source, args)?;
    let mut meter = Meter::patient(quiet);
    let Prepared { evaluator, given, samples } = prepared(source, subject, args, &mut meter)?;
    let mut embedded = 0;
    let mut progress = |count: usize, all: usize| {
        embedded += count as u64;
        meter.show("embedding the samples", embedded, all as u64, "sample");
    };
    let collected = match (given, &maker) {
        (Some(mut given), _) => {
            let all = given.count();
            evaluator.collect_given(&mut given, &mut |count| progress(count, all))?
        }
        (None, Some(maker)) => made(maker, &evaluator, args.seed, &mut |count| progress(count, samples))?,
        (None, None) => anyhow::bail!("there are no samples to evaluate"),
    };
    let card = evaluator.card(source, &collected);
    meter.end();
    Ok(Card { step: maker.map(|maker| maker.0.step), ..card? })
}

/// An evaluator, and the samples if they already exist.
struct Prepared {
    evaluator: Evaluator,
    given: Option<Given>,
    /// Number of samples to generate.
    samples: usize,
}

fn prepared(source: &str, subject: Subject, args: &EvaluateArgs, meter: &mut Meter) -> Result<Prepared> {
    let EvaluateArgs { seed, protocol, .. } = *args;
    let is_statistics = |path: &&Path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"));
    // Without a protocol, an .npz is an array of images.
    let statistics = args.data.as_ref().map(Path::new).filter(is_statistics);
    if let Some((statistics, protocol)) = statistics.zip(protocol) {
        let (evaluator, given) = evaluate::compare_statistics(subject, source, statistics, protocol, seed)?;
        return Ok(Prepared { evaluator, given, samples: protocol.samples() });
    }
    if let Some(statistics) = statistics.filter(|path| !npy::holds_images(path)) {
        let problem = "holds no array of images; mean and covariance are compared with by --protocol fid50k";
        return Err(usage(statistics.display(), problem));
    }
    let mut table = real(source, args)?;
    let over = source::assigned(&args.set)?;
    let sets_size = over.get("data").is_some_and(|data| data.get("size").is_some());
    layering::overlay(&mut table, over);
    let data = layering::read_data(table)?;
    let default = data.set.info().evaluation_samples.unwrap_or(SAMPLES);
    let how = EvaluateConfig {
        samples: protocol.map(Protocol::samples).or(args.samples).unwrap_or(default),
        metrics: protocol.map_or(args.metrics.clone(), |Protocol::Fid50k| vec![&FID]),
        embedder: protocol.map_or(args.embedder.clone(), |protocol| protocol.embedder().into()),
        ..EvaluateConfig::default()
    };
    let request = Request {
        subject,
        name: source.into(),
        most: args.samples,
        role: if args.data.is_some() { Role::Reference { floor: args.floor } } else { Role::TrainingData },
        size: data.size.filter(|_| sets_size).map(|size| size.get()),
        data,
        seed,
        protocol,
    };
    let mut progress =
        |done: usize, all: usize| meter.show("embedding the real samples", done as u64, all as u64, "sample");
    let (evaluator, given) = evaluate::compare(request, &how, &mut progress)?;
    Ok(Prepared { evaluator, given, samples: how.samples })
}

/// Returns the settings of the real data: as named, or the training data of a run or weight file.
fn real(source: &str, args: &EvaluateArgs) -> Result<layering::Table> {
    let path = Path::new(source);
    let is_weights = path.extension().is_some_and(|e| e == "safetensors");
    let beside = path.parent().filter(|folder| is_weights && RunFolder::is_run(folder));
    match &args.data {
        Some(named) => {
            // A data set's name takes precedence over a run of the same name.
            if DatasetEntry::find(named).is_none() {
                no_run(named, "the real data", "name the images that it was trained on")?;
            }
            data::chosen::settings(named)
        }
        None if RunFolder::is_run(path) => of_run(path),
        None if is_weights => beside.map_or_else(|| of_weights(path), of_run),
        None => {
            let advice = "name real data by --data, e.g. --data mnist";
            Err(usage(source, format_args!("what to compare with is not known: {advice}")))
        }
    }
}

/// Refuses a run's own folders as `what`, because their pictures are sheets of many samples.
fn no_run(source: &str, what: &str, advice: &str) -> Result<()> {
    let path = Path::new(source);
    let problem = match RunFolder::of_pictures(path) {
        Some(run) => format!("holds pictures that the run {} drew of itself, each with many samples", run.display()),
        None if RunFolder::is_run(path) => "is a run, which has no images but its own".into(),
        None => return Ok(()),
    };
    Err(usage(source, format_args!("{problem}; it cannot be {what}: {advice}")))
}

fn of_run(run: &Path) -> Result<layering::Table> {
    let mut table = layering::from_file(&run.join("config.toml"))?;
    table.retain(|key, _| key == "data");
    Ok(table)
}

/// Returns the settings of the training data that a weight file describes.
fn of_weights(file: &Path) -> Result<layering::Table> {
    let description = weights::read_description(file)?;
    if description.data.name == IMPORTED {
        let problem =
            "was imported, and does not say what it was trained on: name real data by --data, e.g. --data mnist";
        return Err(usage(file.display(), problem));
    }
    let mut table = layering::Table::new();
    let shape = &description.data.shape;
    let mut set = |assignment: String| layering::set(&mut table, &assignment);
    set(format!("data.name=\"{}\"", description.data.name))?;
    set(format!("data.channels={}", shape[0]))?;
    if let [_, height, width] = shape[..] {
        set(format!("data.size=[{height}, {width}]"))?;
    }
    Ok(table)
}

/// Returns the subject of `source`, with the generator if it is one.
fn subject(source: &str, args: &EvaluateArgs) -> Result<(Subject, Option<Maker>)> {
    let path = Path::new(source);
    if npy::is_array(path) {
        return Ok((Subject::Array(NpyFile::open(path).map_err(gan_train::Error::from)?), None));
    }
    if path.is_dir() && !RunFolder::is_run(path) {
        if let Some(run) = RunFolder::of_pictures(path) {
            no_run(source, "samples to evaluate", &format!("name the run, gan evaluate {}", run.display()))?;
        }
        return Ok((Subject::Folder(path.into()), None));
    }
    if !path.exists() && presets::find(source).is_none() && source::on_hub(path).is_none() {
        let wanted = "a run folder, a weight file, a folder of images or a .npy file";
        return Err(usage(source, format_args!("there is no such file or folder: name {wanted}")));
    }
    if path.is_file() && gan_data::images::is_image(path) {
        return Err(usage(source, "is one image, which has no distribution to compare: name a folder of images"));
    }
    let file = if args.best { source::best_weight_file(path)? } else { source::weight_file(path)? };
    let maker = source::sampler(&file, &args.device)?;
    Ok((Subject::Made(maker.0.data.shape.clone()), Some(maker)))
}

/// Generates the number of samples that is evaluated.
fn made(
    (description, generator, device): &Maker,
    evaluator: &Evaluator,
    seed: u64,
    progress: &mut dyn FnMut(usize),
) -> Result<SampleSet> {
    let mut rng = Rng::stream(seed, "evaluation");
    Ok(evaluator.collect(&mut |n| {
        let z = description.latent.sample(n, &mut rng, device)?;
        let classes = draw_classes(generator.as_ref(), n, &mut rng, device)?;
        let made = samples(generator.as_ref(), &z, classes.as_ref())?;
        progress(n);
        Ok(Some((made, classes)))
    })?)
}

/// Formats several cards side by side: a row per metric, a column per card, then the details of each.
fn beside(cards: &[Card]) -> String {
    let mut text = String::new();
    let mut push = |line: String| text += &format!("{}\n", line.trim_end());
    let names: String = (1..=cards.len()).map(|i| format!("{:>12}", format!("[{i}]"))).collect();
    push(format!("{:<46}{names}{:>12}", "", "real"));
    for metric in Metric::all().filter(|metric| cards.iter().any(|card| card.figure(metric).is_some())) {
        let values: String =
            cards.iter().map(|card| format!("{:>12}", card.value(metric).map_or("–".into(), format_value))).collect();
        let floor = cards.iter().find_map(|card| card.figure(metric)?.floor).map_or(String::new(), format_value);
        push(format!("{:<46}{values}{floor:>12}", metric.title));
    }
    for (i, card) in (1..).zip(cards) {
        let step = card.step.map(|step| format!(", step {step}")).unwrap_or_default();
        push(format!("\n[{i}] {}{step}", card.subject));
        card.provenance().iter().for_each(|(name, value)| push(format!("  {name:<14} {value}")));
    }
    text
}
