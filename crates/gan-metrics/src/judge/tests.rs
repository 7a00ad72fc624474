//! Sets of points judged by their coordinates: what is left out and why, what is kept of many, and floors.

use super::*;
use crate::card::{ImageSizes, ResizedTo};
use crate::embed::Coordinates;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::RandomTensors;

const METRICS: [Metric; 5] = [Metric::Fid, Metric::Precision, Metric::Coverage, Metric::Diversity, Metric::Energy];

fn judge() -> Judge {
    Judge::new(Arc::new(Coordinates::new(vec![[-1.0, 1.0]; 2])), &METRICS, 7).unwrap()
}

fn points(n: usize, seed: u64) -> Tensor {
    Rng::new(seed).normal_tensor(0.0, 1.0, (n, 2), &Device::Cpu).unwrap()
}

fn gathered(judge: &Judge, points: &Tensor) -> Gathered {
    let mut set = judge.gather();
    set.push(points).unwrap();
    set
}

fn described() -> RealSet {
    RealSet { data: "points".into(), split: "all".into(), path: None, floor_split: None, sizes: None }
}

fn against(n: usize) -> Judge {
    let judge = judge();
    let (reference, none) = (gathered(&judge, &points(n, 1)), judge.gather());
    judge.with_real(described(), reference, None, none).unwrap()
}

#[test]
fn metrics_that_too_few_samples_allow_are_measured_and_the_others_noted() {
    let judge = against(40);
    let card = judge.card("x", &gathered(&judge, &points(3, 2)), 0).unwrap();
    let measured: Vec<Metric> = card.figures.iter().map(|figure| figure.metric).collect();
    assert_eq!(measured, [Metric::Fid, Metric::Diversity, Metric::Energy]);
    // The generated ones are too few, not the real ones, of which as many are taken.
    let note = "not measured: precision, coverage: 3 generated samples are too few, at least 6 are needed";
    assert!(card.warnings.iter().any(|warning| warning.starts_with(note)), "{:?}", card.warnings);
    let judge = against(3);
    let card = judge.card("x", &gathered(&judge, &points(40, 2)), 0).unwrap();
    assert!(card.warnings.iter().any(|warning| warning.contains("3 real samples are too few")), "{:?}", card.warnings);
}

#[test]
fn nothing_to_measure_at_all_is_an_error() {
    let judge = Judge { metrics: vec![Metric::Coverage], ..against(40) };
    let error = judge.card("x", &gathered(&judge, &points(2, 2)), 0).unwrap_err();
    assert!(error.to_string().contains("2 generated samples are too few"), "{error}");
    let empty = self::judge();
    let (none, train) = (empty.gather(), empty.gather());
    assert!(matches!(empty.with_real(described(), none, None, train), Err(Error::TooFew { found: 0, .. })));
}

#[test]
fn equal_sets_are_nothing_apart_and_have_no_floor_unless_it_is_wanted() {
    let judge = against(40);
    let card = judge.card("x", &gathered(&judge, &points(40, 1)), 0).unwrap();
    assert!(card.value(Metric::Fid).unwrap().abs() < 1e-9 && card.value(Metric::Coverage) == Some(1.0), "{card}");
    assert!(card.figures.iter().all(|figure| figure.floor.is_none()));
    let (one, other) = (gathered(&judge, &points(20, 3)), gathered(&judge, &points(20, 4)));
    let judge = judge.with_floor_between(one, &other).unwrap();
    let with_floor = judge.card("x", &gathered(&judge, &points(40, 1)), 0).unwrap();
    assert_eq!(with_floor.value(Metric::Fid), card.value(Metric::Fid));
    assert!(judge.floor(Metric::Fid).unwrap() > 0.0);
}

#[test]
fn what_is_kept_of_many_is_spread_over_all() {
    let judge = judge();
    let mut set = judge.gather().expecting(3 * KEPT);
    for from in (0..3 * KEPT).step_by(1000) {
        let values: Vec<f32> = (from..from + 1000).flat_map(|i| [i as f32, 0.0]).collect();
        set.push(&Tensor::from_vec(values, (1000, 2), &Device::Cpu).unwrap()).unwrap();
    }
    assert_eq!((set.count(), set.features().len()), (3 * KEPT, KEPT));
    let kept: Vec<usize> = set.features().rows().map(|row| row[0] as usize).collect();
    assert!(kept.windows(2).all(|pair| pair[1] - pair[0] == 3), "{:?}", &kept[..9]);
    let shuffled = set.shuffled(1);
    let mut again: Vec<usize> = shuffled.features().rows().map(|row| row[0] as usize).collect();
    assert_ne!(again[..9], kept[..9]);
    again.sort_unstable();
    assert_eq!(again, kept);
}

/// Coordinates by a protocol that begins with the originals.
struct Published(Coordinates);

impl Embedder for Published {
    fn name(&self) -> &str {
        "published"
    }
    fn hash(&self) -> &str {
        "none"
    }
    fn resizing(&self) -> Option<&str> {
        Some("its own")
    }
    fn protocol(&self) -> Option<&str> {
        Some("as published")
    }
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn embed(&self, points: &Tensor) -> Result<crate::Embedding> {
        self.0.embed(points)
    }
}

#[test]
fn a_protocol_is_named_only_where_nothing_was_resized_before() {
    let resized = Some(ResizedTo { size: [64, 64], how: "bilinear".into() });
    let own = ImageSizes { smallest: [256; 2], largest: [256; 2], resized: None };
    let shrunk = ImageSizes { resized, ..own.clone() };
    for (samples, reals, named) in [
        (None, None, true),
        (Some(own.clone()), Some(own.clone()), true),
        (Some(own.clone()), Some(shrunk.clone()), false),
        (Some(shrunk), Some(own), false),
    ] {
        let network = Published(Coordinates::new(vec![[-1.0, 1.0]; 2]));
        let judge = Judge::new(Arc::new(network), &[Metric::Fid], 7).unwrap();
        let (reference, none) = (gathered(&judge, &points(9, 1)), judge.gather());
        let real = RealSet { sizes: reals, ..described() };
        let judge = judge.with_real(real, reference, None, none).unwrap();
        let mut set = judge.gather().of_sizes(samples);
        set.push(&points(9, 2)).unwrap();
        let card = judge.card("x", &set, 0).unwrap();
        assert_eq!(card.embedder.protocol.is_some(), named);
        assert_eq!(card.to_string().contains("its own, as published"), named, "{card}");
    }
}
