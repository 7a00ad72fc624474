//! `gan evaluate`: how good samples are, as metric cards.

use crate::args::{EvaluateArgs, Usage};
use crate::{data, say, source};
use anyhow::{Context, Result};
use candle_core::Tensor;
use gan_core::gan::{draw_classes, samples};
use gan_core::layer::Pair;
use gan_core::weights::Description;
use gan_core::{Rng, weights};
use gan_data::Dataset;
use gan_metrics::{Card, Metric};
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::evaluate::{self, Against, Depth, Evaluator};
use gan_train::{RunFolder, layering};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// Samples judged where no number is given; those of Stacked-MNIST by its protocol (Metz et al. 2016, arXiv:1611.02163).
const SAMPLES: usize = 10_000;
const STACKED: usize = 26_000;

/// What is judged.
enum Subject {
    /// A generator's weight file.
    Generator(Box<(Description, gan_core::LayeredGenerator, candle_core::Device)>),
    /// Images of a folder, or an array of samples.
    Samples(Given),
}

/// Samples that are there already.
enum Given {
    Set(Arc<dyn Dataset>),
    Array(Tensor),
}

/// Judges each source and prints its card.
pub fn run(args: &EvaluateArgs, quiet: bool) -> Result<()> {
    let mut cards = Vec::new();
    for source in &args.sources {
        cards.push(judge(source, args, quiet).with_context(|| source.clone())?);
    }
    if args.json {
        return cards.iter().try_for_each(|card| say::line(serde_json::to_string(card).unwrap_or_default()));
    }
    match cards.as_slice() {
        [card] => say::line(card.to_string().trim_end()),
        several => say::line(beside(several).trim_end()),
    }
}

fn judge(source: &str, args: &EvaluateArgs, quiet: bool) -> Result<Card> {
    let mut data = real(source, args)?;
    let (subject, sample) = subject(source, args, &data)?;
    data.channels = sample[0];
    data.size = if let [_, height, width] = sample[..] { Some(Pair::Each([height, width])) } else { None };
    let metrics = args.metrics.iter().map(|name| metric(name)).collect::<Result<Vec<_>>>()?;
    let how = EvaluateConfig {
        samples: args.samples.unwrap_or(if data.name == "stacked-mnist" { STACKED } else { SAMPLES }),
        metrics,
        embedder: args.embedder.clone(),
        ..EvaluateConfig::default()
    };
    let bar = bar(how.samples, quiet);
    bar.set_message("embedding the real samples");
    let mut progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let evaluator = Evaluator::new(&Against { data, sample, seed: args.seed }, &how, Depth::Whole, &mut progress)?;
    bar.set_length(how.samples as u64);
    bar.set_position(0);
    bar.set_message("embedding the samples");
    let gathered = gather(&subject, &evaluator, args.seed, &bar)?;
    bar.set_message("measuring");
    let card = evaluator.card(source, &gathered)?;
    bar.finish_and_clear();
    let step = match &subject {
        Subject::Generator(made) => Some(made.0.step),
        Subject::Samples(_) => None,
    };
    Ok(Card { step, ..card })
}

/// The real data: as named, or what a run or weight file was trained on.
fn real(source: &str, args: &EvaluateArgs) -> Result<DataConfig> {
    let path = Path::new(source);
    let mut table = match &args.data {
        Some(named) => data::chosen::settings(named)?,
        None if RunFolder::is_run(path) => of_run(path)?,
        None if path.extension().is_some_and(|e| e == "safetensors") => {
            let beside = path.parent().filter(|folder| RunFolder::is_run(folder));
            beside.map_or_else(|| of_weights(path), of_run)?
        }
        None => {
            let problem = "what to compare with is not known: name real data by --data, e.g. --data mnist";
            return Err(Usage(format!("{source}: {problem}")).into());
        }
    };
    for assignment in &args.set {
        layering::set(&mut table, assignment)?;
    }
    Ok(layering::read_data(table)?)
}

fn of_run(run: &Path) -> Result<layering::Table> {
    let mut table = layering::from_file(&run.join("config.toml"))?;
    table.retain(|key, _| key == "data");
    Ok(table)
}

/// What a weight file says about the data that it was trained on.
fn of_weights(file: &Path) -> Result<layering::Table> {
    let (description, _) = weights::read(file)?;
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

/// What `source` stands for, and the shape of its samples.
fn subject(source: &str, args: &EvaluateArgs, data: &DataConfig) -> Result<(Subject, Vec<usize>)> {
    let path = Path::new(source);
    if path.extension().is_some_and(|e| e == "npy") {
        let array = array(path)?;
        let sample = array.dims()[1..].to_vec();
        return Ok((Subject::Samples(Given::Array(array)), sample));
    }
    if path.is_dir() && !RunFolder::is_run(path) {
        let sample = data::chosen::shape(data)?;
        let [channels, height, width] = sample[..] else {
            return Err(Usage(format!("{source}: holds images, but {} has points", data.name)).into());
        };
        let (name, size) = ("folder".into(), Some(Pair::Each([height, width])));
        let folder =
            DataConfig { name, dir: Some(path.into()), split: None, flip: false, channels, size, ..data.clone() };
        let set = gan_train::data::find(&folder, &sample, args.seed)?;
        return Ok((Subject::Samples(Given::Set(set)), sample));
    }
    let file = if args.best { source::best_weight_file(path)? } else { source::weight_file(path)? };
    let made = source::generator(&file, &args.device)?;
    let sample = made.0.data.shape.clone();
    Ok((Subject::Generator(Box::new(made)), sample))
}

/// Samples `[N, C, H, W]` or `[N, D]` in a .npy file.
fn array(path: &Path) -> Result<Tensor> {
    let samples = crate::npy::read(path, "[N, C, H, W] or [N, D]")?;
    match samples.rank() {
        2 | 4 => Ok(samples),
        _ => anyhow::bail!(
            "{}: found an array of shape {:?}, expected [N, C, H, W] or [N, D]",
            path.display(),
            samples.dims()
        ),
    }
}

fn gather(subject: &Subject, evaluator: &Evaluator, seed: u64, bar: &ProgressBar) -> Result<gan_metrics::Gathered> {
    let mut rng = Rng::stream(seed, "evaluation");
    let mut at = 0;
    let gathered = evaluator.gather(&mut |n| {
        let made = match subject {
            Subject::Generator(made) => {
                let (description, generator, device) = made.as_ref();
                let z = description.latent.sample(n, &mut rng, device)?;
                let classes = draw_classes(generator, n, &mut rng, device)?;
                Some((samples(generator, &z, classes.as_ref())?, classes))
            }
            Subject::Samples(Given::Set(set)) => {
                let indices: Vec<usize> = (at..set.len().min(at + n)).collect();
                if indices.is_empty() { None } else { Some((evaluate::samples(set.as_ref(), &indices)?, None)) }
            }
            Subject::Samples(Given::Array(array)) => {
                let n = n.min(array.dim(0)?.saturating_sub(at));
                if n == 0 { None } else { Some((evaluator.scaled(&array.narrow(0, at, n)?)?, None)) }
            }
        };
        let count = made.as_ref().map_or(Ok(0), |(made, _)| made.dim(0))?;
        at += count;
        bar.inc(count as u64);
        Ok(made)
    })?;
    Ok(gathered)
}

fn metric(name: &str) -> Result<Metric> {
    let known: Vec<&str> = Metric::all().map(Metric::name).collect();
    Metric::named(name).ok_or_else(|| {
        Usage(format!("--metrics {name}: unknown metric{}", gan_core::wording::choose(name, &known))).into()
    })
}

fn bar(samples: usize, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}").expect("a valid template");
    ProgressBar::new(samples as u64).with_style(style)
}

/// Several cards beside each other: a row a metric, a column a card, then how each came about.
fn beside(cards: &[Card]) -> String {
    use gan_metrics::card::digits;
    let mut text = String::new();
    let mut push = |line: String| text += &format!("{}\n", line.trim_end());
    let names: String = (1..=cards.len()).map(|i| format!("{:>12}", format!("[{i}]"))).collect();
    push(format!("{:<46}{names}{:>12}", "", "real"));
    for metric in Metric::all().filter(|metric| cards.iter().any(|card| card.figure(*metric).is_some())) {
        let values: String =
            cards.iter().map(|card| format!("{:>12}", card.value(metric).map_or("–".into(), digits))).collect();
        let floor = cards.iter().find_map(|card| card.figure(metric)?.floor).map_or(String::new(), digits);
        push(format!("{:<46}{values}{floor:>12}", metric.title()));
    }
    for (i, card) in (1..).zip(cards) {
        let step = card.step.map(|step| format!(", step {step}")).unwrap_or_default();
        push(format!("\n[{i}] {}{step}", card.subject));
        card.provenance().iter().for_each(|(name, value)| push(format!("  {name:<14} {value}")));
    }
    text
}
