//! Sets of points, compared by their coordinates: skipped metrics, samples kept of large sets, and floors.

use super::*;
use crate::card::{ImageSizes, ResizedTo};
use crate::embed::{Coordinates, EmbedderInfo, FeatureSpace};
use crate::metrics::diversity::RELATIVE_DIVERSITY;
use crate::metrics::energy::ENERGY_DISTANCE;
use crate::metrics::frechet::{FD_COORDINATES, FD_INCEPTION, FID};
use crate::metrics::memorisation::{NEAR_COPIES, NEAREST_DISTANCE};
use crate::metrics::prdc::{COVERAGE, PRECISION};
use crate::sample_set::KEPT;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::RandomTensors;

fn metrics() -> Vec<&'static Metric> {
    vec![&FD_COORDINATES, &PRECISION, &COVERAGE, &RELATIVE_DIVERSITY, &ENERGY_DISTANCE]
}

fn suite() -> MetricSuite {
    MetricSuite::new(Arc::new(Coordinates::new(vec![[-1.0, 1.0]; 2])), &metrics(), 7).unwrap()
}

fn points(n: usize, seed: u64) -> Tensor {
    Rng::new(seed).normal_tensor(0.0, 1.0, (n, 2), &Device::Cpu).unwrap()
}

fn filled(suite: &MetricSuite, points: &Tensor) -> SampleSet {
    let mut set = suite.sample_set();
    set.push(points).unwrap();
    set
}

fn described() -> Reference {
    Reference { data: "points".into(), split: "all".into(), ..Reference::default() }
}

fn against(n: usize) -> MetricSuite {
    let suite = suite();
    let (reference, none) = (filled(&suite, &points(n, 1)), suite.sample_set());
    suite.with_real(described(), reference, None, none).unwrap()
}

#[test]
fn metrics_that_need_more_samples_are_skipped_with_a_note() {
    let suite = against(40);
    let card = suite.card("x", &filled(&suite, &points(3, 2)), 0).unwrap();
    let measured: Vec<&str> = card.figures.iter().map(|figure| figure.metric.key).collect();
    assert_eq!(measured, ["fd_coordinates", "diversity", "energy"]);
    // The note names the generated samples, because the real ones are only reduced to the same number.
    let note = "not measured: precision, coverage: 3 generated samples are too few, at least 6 are needed";
    assert!(card.warnings.iter().any(|warning| warning.starts_with(note)), "{:?}", card.warnings);
    let suite = against(3);
    let card = suite.card("x", &filled(&suite, &points(40, 2)), 0).unwrap();
    assert!(card.warnings.iter().any(|warning| warning.contains("3 real samples are too few")), "{:?}", card.warnings);
}

#[test]
fn measuring_no_metric_at_all_is_an_error() {
    let suite = MetricSuite { metrics: vec![&COVERAGE], ..against(40) };
    let error = suite.card("x", &filled(&suite, &points(2, 2)), 0).unwrap_err();
    assert!(error.to_string().contains("2 generated samples are too few"), "{error}");
    let empty = self::suite();
    let (none, train) = (empty.sample_set(), empty.sample_set());
    assert!(matches!(empty.with_real(described(), none, None, train), Err(Error::TooFew { found: 0, .. })));
}

#[test]
fn equal_sets_have_distance_zero_and_a_floor_only_on_request() {
    let suite = against(40);
    let card = suite.card("x", &filled(&suite, &points(40, 1)), 0).unwrap();
    assert!(card.value(&FD_COORDINATES).unwrap().abs() < 1e-9 && card.value(&COVERAGE) == Some(1.0), "{card}");
    assert!(card.figures.iter().all(|figure| figure.floor.is_none()));
    let (one, other) = (filled(&suite, &points(20, 3)), filled(&suite, &points(20, 4)));
    let suite = suite.with_floor_between(one, &other).unwrap();
    let with_floor = suite.card("x", &filled(&suite, &points(40, 1)), 0).unwrap();
    assert_eq!(with_floor.value(&FD_COORDINATES), card.value(&FD_COORDINATES));
    assert!(suite.floor(&FD_COORDINATES).unwrap() > 0.0);
}

#[test]
fn samples_kept_from_a_large_set_are_evenly_spread() {
    let suite = suite();
    let mut set = suite.sample_set();
    set.expected = 3 * KEPT;
    for from in (0..3 * KEPT).step_by(1000) {
        let values: Vec<f32> = (from..from + 1000).flat_map(|i| [i as f32, 0.0]).collect();
        set.push(&Tensor::from_vec(values, (1000, 2), &Device::Cpu).unwrap()).unwrap();
    }
    assert_eq!((set.count(), set.kept.len()), (3 * KEPT, KEPT));
    let kept: Vec<usize> = set.kept.rows().map(|row| row[0] as usize).collect();
    assert!(kept.windows(2).all(|pair| pair[1] - pair[0] == 3), "{:?}", &kept[..9]);
    let shuffled = set.shuffled(1);
    let mut again: Vec<usize> = shuffled.kept.rows().map(|row| row[0] as usize).collect();
    assert_ne!(again[..9], kept[..9]);
    again.sort_unstable();
    assert_eq!(again, kept);
}

/// Coordinates under a protocol that starts from images in their original size.
struct Published(Coordinates, EmbedderInfo);

impl Published {
    fn new() -> Arc<Self> {
        let mut info = EmbedderInfo::new("published", "none", FeatureSpace::Inception, 2);
        info.card.resize = Some("its own".into());
        info.card.protocol = Some("as published".into());
        Arc::new(Self(Coordinates::new(vec![[-1.0, 1.0]; 2]), info))
    }
}

impl Embedder for Published {
    fn info(&self) -> &EmbedderInfo {
        &self.1
    }

    fn embed(&self, points: &Tensor) -> Result<crate::embed::Embedding> {
        self.0.embed(points)
    }
}

#[test]
fn the_card_names_a_protocol_only_if_nothing_was_resized_before() {
    let resized = Some(ResizedTo { size: [64, 64], how: "bilinear".into() });
    let own = ImageSizes { smallest: [256; 2], largest: [256; 2], resized: None };
    let shrunk = ImageSizes { resized, ..own.clone() };
    for (samples, reals, named) in [
        (None, None, true),
        (Some(own.clone()), Some(own.clone()), true),
        (Some(own.clone()), Some(shrunk.clone()), false),
        (Some(shrunk), Some(own), false),
    ] {
        let suite = MetricSuite::new(Published::new(), &[&FD_INCEPTION], 7).unwrap();
        let (reference, none) = (filled(&suite, &points(9, 1)), suite.sample_set());
        let real = Reference { sizes: reals, ..described() };
        let suite = suite.with_real(real, reference, None, none).unwrap();
        let mut set = suite.sample_set();
        set.sizes = samples;
        set.push(&points(9, 2)).unwrap();
        let card = suite.card("x", &set, 0).unwrap();
        assert_eq!(card.embedder.protocol.is_some(), named);
        assert_eq!(card.to_string().contains("its own, as published"), named, "{card}");
    }
}

/// Returns the card of two-dimensional samples under Inception's name, compared with `reals` others by the protocol.
fn by_protocol(reals: usize, samples: usize) -> Result<Card> {
    let mut suite = MetricSuite::new(Published::new(), &[&FID], 7)?;
    suite.protocol = Some(Protocol::Fid50k);
    let (reference, none) = (filled(&suite, &points(reals, 1)), suite.sample_set());
    let suite = suite.with_real(Reference { split: "train".into(), ..described() }, reference, None, none)?;
    suite.card("x", &filled(&suite, &points(samples, 2)), 0)
}

#[test]
fn fid_uses_the_sample_counts_of_its_protocol_and_the_card_lists_them() {
    let text = by_protocol(60, 50_000).unwrap().to_string();
    for words in
        ["Fréchet Inception distance (FID)", "fid50k, 50000 generated samples", "60 of points (train)", "its own"]
    {
        assert!(text.contains(words), "no {words} in {text}");
    }
    let problem = by_protocol(60, 2000).unwrap_err().to_string();
    assert!(problem.contains("found 2000 generated samples, expected 50000"), "{problem}");
}

#[test]
fn fid_over_other_features_is_refused_with_the_right_key() {
    let network = Arc::new(Coordinates::new(vec![[-1.0, 1.0]; 2]));
    let problem = |metric: &'static Metric| MetricSuite::new(network.clone(), &[metric], 7).err().unwrap().to_string();
    assert!(problem(&FD_INCEPTION).contains("write \"fd_coordinates\""));
    assert!(problem(&FID).contains("leave it out"));
}

#[test]
fn copies_of_every_training_sample_are_found_if_none_is_held_out() {
    let metrics = [&NEAREST_DISTANCE, &NEAR_COPIES];
    let suite = MetricSuite::new(Arc::new(Coordinates::new(vec![[-1.0, 1.0]; 2])), &metrics, 7).unwrap();
    let (reference, none) = (filled(&suite, &points(40, 1)), suite.sample_set());
    let suite = suite.with_real(described(), reference, None, none).unwrap().with_copies_of_reference();
    let of = |seed: u64| suite.card("x", &filled(&suite, &points(40, seed)), 0).unwrap();
    assert_eq!(of(1).figures.iter().map(|figure| figure.value).collect::<Vec<_>>(), [0.0, 1.0]);
    assert!(of(2).figures[0].value > 0.5 && of(2).figures[1].value < 0.3);
}
