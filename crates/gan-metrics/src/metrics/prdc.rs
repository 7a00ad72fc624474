//! Precision and recall (Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019),
//! density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020).
//!
//! Every sample has a ball that reaches to its k-th nearest other sample of its set. With strict "inside", as in the authors'
//! package `prdc`:
//! - precision: share of generated samples inside any real sample's ball,
//! - recall: share of real samples inside any generated sample's ball,
//! - density: real balls that a generated sample lies in, on average, over k; not bounded by 1,
//! - coverage: share of real samples whose ball holds any generated sample.

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::pairs::{Bounds, Frame, Limit, Pairs, Strip, may_be_within, nearest_others};
use gan_base::messages::counted;
use std::sync::atomic::{AtomicBool, Ordering};

/// The k that the papers recommend.
pub const NEAREST: usize = 5;

/// Four answers to two questions: are the samples good, and are all kinds there.
#[derive(Clone, Debug, PartialEq)]
pub struct Prdc {
    /// In [0, 1].
    pub precision: f64,
    /// In [0, 1].
    pub recall: f64,
    /// 0 and up; 1 on average for equal distributions.
    pub density: f64,
    /// In [0, 1].
    pub coverage: f64,
    /// Why not to trust them: samples so often repeated that their balls have no inside.
    pub warning: Option<String>,
}

/// A set with the balls around its samples: made once for many comparisons.
#[derive(Clone, Debug)]
pub struct Manifold<'a> {
    features: &'a Features,
    radii_squared: Vec<f64>,
    k: usize,
}

impl<'a> Manifold<'a> {
    /// Measures the balls of samples `[N, D]`; `what` they are, "real" or "generated", is for the messages. Takes N²
    /// distances, tile by tile; memory is a copy of the set.
    ///
    /// # Errors
    /// If there are no more than k samples, k is 0, or numbers are not finite.
    pub fn new(features: &'a Features, k: usize, what: &'static str) -> Result<Self> {
        if features.len() <= k || k == 0 {
            let advice = "every sample is compared with its nearest others; take more samples";
            let needed = k.max(1) + 1;
            return Err(Error::TooFew { metric: "precision and recall", what, found: features.len(), needed, advice });
        }
        features.check_finite(what)?;
        let radii_squared = nearest_others(features, k).iter().map(|nearest| nearest.found[k - 1].0).collect();
        Ok(Self { features, radii_squared, k })
    }

    /// The balls' radii `[N]`.
    pub fn radii(&self) -> impl ExactSizeIterator<Item = f64> {
        self.radii_squared.iter().map(|squared| squared.sqrt())
    }

    fn without_inside(&self) -> usize {
        self.radii_squared.iter().filter(|squared| **squared == 0.0).count()
    }

    fn limits(&self, frame: &Frame) -> Vec<Limit> {
        self.radii_squared.iter().map(|squared| Limit::new(frame, *squared)).collect()
    }
}

/// Precision, recall, density and coverage of generated `[M, D]` against real `[N, D]` features with k nearest others.
///
/// # Errors
/// As [`Manifold::new`], and if widths differ.
pub fn prdc(real: &Features, generated: &Features, k: usize) -> Result<Prdc> {
    same_width(real, generated)?;
    between(&Manifold::new(real, k, "real")?, &Manifold::new(generated, k, "generated")?)
}

/// The same for sets whose balls are measured. Takes N M distances.
///
/// # Errors
/// If widths or the two k differ.
pub fn between(real: &Manifold<'_>, generated: &Manifold<'_>) -> Result<Prdc> {
    same_width(real.features, generated.features)?;
    if real.k != generated.k {
        let (found, expected) = (format!("k = {} and k = {}", real.k, generated.k), "the same k".into());
        return Err(Error::Mismatch { what: "balls".into(), found, expected, advice: "measure both alike".into() });
    }
    let (reached, hits) = compare(real, generated);
    let (n, m) = (reached.len() as f64, hits.len() as f64);
    let share = |count: usize, of: f64| count as f64 / of;
    Ok(Prdc {
        precision: share(hits.iter().filter(|hit| **hit).count(), m),
        recall: share(reached.iter().filter(|real| real.reached).count(), n),
        density: share(reached.iter().map(|real| real.inside).sum(), m * real.k as f64),
        coverage: share(reached.iter().filter(|real| real.inside > 0).count(), n),
        warning: warning(real, generated),
    })
}

/// What a real sample sees of the generated ones.
#[derive(Clone, Default)]
struct Seen {
    /// How many lie inside its ball.
    inside: usize,
    /// Whether it lies inside the ball of any.
    reached: bool,
}

/// What every real sample sees, and whether every generated one lies inside any real ball.
fn compare(real: &Manifold<'_>, generated: &Manifold<'_>) -> (Vec<Seen>, Vec<bool>) {
    let frame = Frame::of(&[real.features, generated.features]);
    let (rows, columns) = (frame.place(real.features), frame.place(generated.features));
    let (real_limits, limits) = (real.limits(&frame), generated.limits(&frame));
    let hits: Vec<AtomicBool> = limits.iter().map(|_| AtomicBool::new(false)).collect();
    let mut seen = vec![Seen::default(); rows.len()];
    Pairs::new(&frame, &rows, &columns).sweep(&mut seen, |seen, strip| {
        let own = real_limits[strip.row];
        let near = strip.bounds().filter(|pair| may_be_within(*pair, own, limits[pair.column]));
        for pair in near {
            see(seen, strip, pair, own, limits[pair.column], &hits[pair.column]);
        }
    });
    (seen, hits.into_iter().map(AtomicBool::into_inner).collect())
}

fn see(seen: &mut Seen, strip: &Strip<'_>, pair: Bounds, real: Limit, generated: Limit, hit: &AtomicBool) {
    if strip.is_within(pair, real) {
        seen.inside += 1;
        hit.store(true, Ordering::Relaxed);
    }
    seen.reached = seen.reached || strip.is_within(pair, generated);
}

fn warning(real: &Manifold<'_>, generated: &Manifold<'_>) -> Option<String> {
    let warnings = [(real, "real"), (generated, "generated")].into_iter().filter_map(|(set, what)| {
        let (none, all, k) = (set.without_inside(), set.radii_squared.len(), set.k);
        (none > 0).then(|| {
            format!(
                "{none} of {} equal at least {}: their balls have radius 0 and hold nothing",
                counted(all, &format!("{what} sample")),
                counted(k, "other")
            )
        })
    });
    let warnings: Vec<String> = warnings.collect();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}

const KYNKAANNIEMI: &str = "Kynkäänniemi et al. 2019, arXiv:1904.06991";
const NAEEM: &str = "Naeem et al. 2020, arXiv:2002.09797";

/// One of the four figures, which are computed together.
fn measured(inputs: &Inputs<'_>, figure: impl Fn(&Prdc) -> f64) -> Result<Measured> {
    let found = inputs.shared(|| {
        let (real, generated) = inputs.same_number();
        prdc(&real, &generated, NEAREST)
    })?;
    Ok(Measured { warning: found.warning.clone(), ..figure(&found).into() })
}

/// The share of generated samples near real ones.
#[derive(Clone, Copy, Debug)]
pub struct Precision;

impl Metric for Precision {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images, DataKind::Points],
            in_evaluation: &[DataKind::PointsAroundModes],
            ..MetricInfo::new("precision", "Precision", Better::Higher, KYNKAANNIEMI)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        measured(inputs, |found| found.precision)
    }
}

/// The share of real samples near generated ones.
#[derive(Clone, Copy, Debug)]
pub struct Recall;

impl Metric for Recall {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images, DataKind::Points],
            in_evaluation: &[DataKind::PointsAroundModes],
            ..MetricInfo::new("recall", "Recall", Better::Higher, KYNKAANNIEMI)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        measured(inputs, |found| found.recall)
    }
}

/// How many real neighbourhoods a generated sample lies in, over k.
#[derive(Clone, Copy, Debug)]
pub struct Density;

impl Metric for Density {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_training: &[DataKind::Classes, DataKind::Images],
            in_evaluation: &[DataKind::Points],
            ..MetricInfo::new("density", "Density", Better::Higher, NAEEM)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        measured(inputs, |found| found.density)
    }
}

/// The share of real samples with a generated one in their neighbourhood.
#[derive(Clone, Copy, Debug)]
pub struct Coverage;

impl Metric for Coverage {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            in_training: &[
                DataKind::Classes,
                DataKind::ManyClasses,
                DataKind::Images,
                DataKind::PointsAroundModes,
                DataKind::Points,
            ],
            ..MetricInfo::new("coverage", "Coverage", Better::Higher, NAEEM)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        measured(inputs, |found| found.coverage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_base::Rng;

    fn made(seed: u64, n: usize, dim: usize, spread: f32) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * dim).map(|_| rng.normal() * spread).collect(), dim).unwrap()
    }

    /// The package's definitions on whole matrices of distances.
    fn plain(real: &Features, generated: &Features, k: usize) -> [f64; 4] {
        let distance = |x: &[f32], y: &[f32]| crate::pairs::squared(x, y).sqrt();
        let radius = |set: &Features, i: usize| {
            let mut all: Vec<f64> = set.rows().map(|row| distance(set.row(i), row)).collect();
            all.sort_by(f64::total_cmp);
            all[k]
        };
        let (n, m) = (real.len(), generated.len());
        let real_radii: Vec<f64> = (0..n).map(|i| radius(real, i)).collect();
        let radii: Vec<f64> = (0..m).map(|j| radius(generated, j)).collect();
        let d = |i: usize, j: usize| distance(real.row(i), generated.row(j));
        let any =
            |count: usize, of: &dyn Fn(usize) -> bool| (0..count).filter(|i| of(*i)).count() as f64 / count as f64;
        let inside = (0..n * m).filter(|at| d(at / m, at % m) < real_radii[at / m]).count() as f64;
        [
            any(m, &|j| (0..n).any(|i| d(i, j) < real_radii[i])),
            any(n, &|i| (0..m).any(|j| d(i, j) < radii[j])),
            inside / (k * m) as f64,
            any(n, &|i| (0..m).any(|j| d(i, j) < real_radii[i])),
        ]
    }

    fn numbers(found: &Prdc) -> [f64; 4] {
        [found.precision, found.recall, found.density, found.coverage]
    }

    #[test]
    fn is_what_plain_loops_give() {
        for (n, m, dim, k, spread) in
            [(6, 7, 1, 5, 1.0), (80, 60, 3, 5, 0.6), (60, 90, 20, 3, 0.9), (40, 40, 2, 1, 2.0)]
        {
            let (real, generated) = (made(1, n, dim, 1.0), made(2, m, dim, spread));
            assert_eq!(numbers(&prdc(&real, &generated, k).unwrap()), plain(&real, &generated, k));
        }
    }

    #[test]
    fn copies_of_real_samples_tie_exactly() {
        // Generated samples that are real ones lie exactly on the edge of their neighbours' balls.
        let real = made(1, 50, 8, 1.0);
        let generated = real.pick(&(10..45).collect::<Vec<_>>());
        assert_eq!(numbers(&prdc(&real, &generated, 4).unwrap()), plain(&real, &generated, 4));
    }

    #[test]
    fn far_apart_sets_share_nothing_and_a_set_covers_itself() {
        let real = made(1, 100, 4, 1.0);
        let away = Features::new(made(2, 100, 4, 1.0).values().iter().map(|x| x + 50.0).collect(), 4).unwrap();
        assert_eq!(numbers(&prdc(&real, &away, NEAREST).unwrap()), [0.0; 4]);
        let itself = prdc(&real, &real, NEAREST).unwrap();
        assert_eq!((itself.precision, itself.recall, itself.coverage, itself.warning), (1.0, 1.0, 1.0, None));
    }

    #[test]
    fn balls_without_inside_are_told() {
        let constant = Features::new(vec![1.0; 40], 4).unwrap();
        let found = prdc(&made(1, 30, 4, 1.0), &constant, 5).unwrap();
        assert!(found.warning.unwrap().starts_with("10 of 10 generated samples equal at least 5 others"));
        assert_eq!(found.recall, 0.0);
        assert_eq!(numbers(&prdc(&constant, &constant, 5).unwrap()), [0.0; 4]);
    }

    #[test]
    fn measured_balls_can_be_used_again() {
        let (real, generated) = (made(1, 30, 4, 1.0), made(2, 40, 4, 0.5));
        let manifold = Manifold::new(&real, 3, "real").unwrap();
        let other = Manifold::new(&generated, 3, "generated").unwrap();
        assert_eq!(between(&manifold, &other).unwrap(), prdc(&real, &generated, 3).unwrap());
        assert!(manifold.radii().all(|radius| radius > 0.0));
        let coarse = Manifold::new(&generated, 4, "generated").unwrap();
        assert!(between(&manifold, &coarse).unwrap_err().to_string().contains("k = 3 and k = 4"));
    }

    #[test]
    fn bad_input_is_told() {
        let (five, six) = (made(1, 5, 2, 1.0), made(1, 6, 2, 1.0));
        assert!(prdc(&six, &five, 5).unwrap_err().to_string().contains("5 generated samples are too few, at least 6"));
        assert!(prdc(&six, &six, 5).is_ok());
        assert!(prdc(&six, &six, 0).is_err());
        assert!(prdc(&six, &made(1, 6, 3, 1.0), 5).unwrap_err().to_string().contains("2 and 3 numbers"));
        let holed = Features::new(vec![f32::INFINITY; 12], 2).unwrap();
        assert!(prdc(&six, &holed, 5).unwrap_err().to_string().contains("generated features"));
    }
}
