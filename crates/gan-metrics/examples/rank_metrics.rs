//! Which metrics rank sets of images as another judge does: `rank_metrics JUDGED.jsonl [SAMPLES]`.
//!
//! JUDGED.jsonl has a line for each set, as `benches/peers/judge.py --json` writes them: the arrays `real` and `samples` (`.npy`), and `fd`, the
//! judge's figure. Prints each metric's Spearman correlation with it, for the sets of each folder that are compared with the same real
//! images, and the seconds that an evaluation takes. Of each array, SAMPLES images are taken (500), spread evenly.

#![allow(clippy::print_stdout)] // an example says what it finds

use candle_core::{Device, Tensor};
use gan_data::npy::{ImageArray, NpyFile};
use gan_metrics::embed::{Embedder, Texture, Thumbnails};
use gan_metrics::{Better, Metric, MetricSuite, Reference, SampleSet};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The metrics of each network that are compared.
const METRICS: [(&str, &[&str]); 2] = [
    ("thumbnails", &["fd_thumbnails", "kid", "mind", "precision", "density", "coverage"]),
    ("texture", &["fd_texture", "kid", "mind", "precision", "density", "coverage", "swd_patches"]),
];

/// A judged set: its array and the judge's figure.
type Judged = (String, f64);

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let file = words.first().ok_or("rank_metrics JUDGED.jsonl [SAMPLES]")?;
    let count = words.get(1).map_or(Ok(500), |word| word.parse())?;
    let mut groups: BTreeMap<(String, String), Vec<Judged>> = BTreeMap::new();
    for line in std::fs::read_to_string(file)?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        let text = |key: &str| line[key].as_str().map(String::from).ok_or(format!("a line without {key}"));
        let samples = text("samples")?;
        let folder = Path::new(&samples).parent().unwrap_or(Path::new("")).display().to_string();
        let fd = line["fd"].as_f64().ok_or("a line without fd")?;
        groups.entry((text("real")?, folder)).or_default().push((samples, fd));
    }
    for ((real, folder), judged) in &groups {
        println!("{} sets of {folder} against {real}", judged.len());
        let fds: Vec<f64> = judged.iter().map(|set| set.1).collect();
        for (network, metrics) in METRICS {
            for key in metrics {
                let metric = Metric::find(key).ok_or("an unknown metric")?;
                let (values, seconds) = measure(metric, network, real, judged, count)?;
                let rho = spearman(&values, &fds) * if metric.better == Better::Lower { 1.0 } else { -1.0 };
                let values: Vec<String> = values.iter().map(|value| gan_metrics::format_value(*value)).collect();
                println!("  {network:<11}{key:<14}{rho:>7.3}{seconds:>8.2} s  {}", values.join(" "));
            }
        }
    }
    Ok(())
}

/// Returns the metric of each judged set, and the mean time of an evaluation without reading.
fn measure(
    metric: &'static Metric,
    network: &str,
    real: &str,
    judged: &[Judged],
    count: usize,
) -> Result<(Vec<f64>, f64), Box<dyn Error>> {
    let images = read(real, count)?;
    let shape = [images.dim(1)?, images.dim(2)?, images.dim(3)?];
    let embedder: Arc<dyn Embedder> = match network {
        "texture" => Arc::new(Texture::new(shape)?),
        _ => Arc::new(Thumbnails::new(shape)),
    };
    let suite = MetricSuite::new(embedder, &[metric], 1)?;
    let set = |images: &Tensor| -> gan_metrics::Result<SampleSet> {
        let mut set = suite.sample_set();
        set.push(images)?;
        Ok(set)
    };
    let (reference, none) = (set(&images)?, suite.sample_set());
    let arrays: Vec<Tensor> = judged.iter().map(|(path, _)| read(path, count)).collect::<Result<_, _>>()?;
    let start = Instant::now();
    let sets: Vec<SampleSet> = arrays.iter().map(set).collect::<Result<_, _>>()?;
    let embedding = start.elapsed();
    let suite = suite.with_real(Reference::default(), reference, None, none)?;
    let start = Instant::now();
    let cards = sets.iter().map(|set| suite.card("", set, 1)).collect::<Result<Vec<_>, _>>()?;
    let seconds = (embedding + start.elapsed()).as_secs_f64() / judged.len() as f64;
    Ok((cards.iter().map(|card| card.value(metric).unwrap_or(f64::NAN)).collect(), seconds))
}

/// Reads `count` images of an array, spread evenly.
fn read(path: &str, count: usize) -> Result<Tensor, Box<dyn Error>> {
    let mut array = ImageArray::of(NpyFile::open(Path::new(path))?, Some(count), None)?;
    let [c, h, w] = array.shape();
    let taken = array.count();
    Ok(Tensor::from_vec(array.read(0, taken)?, (taken, c, h, w), &Device::Cpu)?)
}

/// Returns the correlation of the ranks.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| {
        let rank = |x: &f64| {
            let below = values.iter().filter(|y| *y < x).count() as f64;
            let equal = values.iter().filter(|y| *y == x).count() as f64;
            below + (equal - 1.0) / 2.0
        };
        values.iter().map(rank).collect::<Vec<_>>()
    };
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - middle) * (y - middle)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}
