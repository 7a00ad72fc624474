//! Precision and recall (Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019),
//! density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020).
//!
//! Every sample has a ball whose radius is the distance to the k-th nearest other sample of its set. "Inside" is strict, as in the authors'
//! package `prdc`:
//! - precision: share of generated samples inside any real sample's ball,
//! - recall: share of real samples inside any generated sample's ball,
//! - density: mean number of real balls that a generated sample is inside of, over k; not bounded by 1,
//! - coverage: share of real samples whose ball contains any generated sample.

use super::{Better, DataKind, Inputs, Measured, Metric};
use crate::error::{Error, Result};
use crate::features::{Features, check_sets};
use crate::pairs::{Frame, Limit, Pairs, may_be_within, nearest_others};
use gan_base::messages::counted;
use std::sync::atomic::{AtomicBool, Ordering};

/// The k that the papers recommend.
const NEAREST: usize = 5;

/// Precision and density measure fidelity, recall and coverage diversity.
#[derive(Clone, Debug, PartialEq)]
pub struct Prdc {
    /// In [0, 1].
    pub precision: f64,
    /// In [0, 1].
    pub recall: f64,
    /// 0 or more; 1 on average for equal distributions.
    pub density: f64,
    /// In [0, 1].
    pub coverage: f64,
    /// Why not to trust them: samples are repeated so often that their balls are empty.
    pub warning: Option<String>,
}

/// Returns precision, recall, density and coverage of generated `[M, D]` against real `[N, D]` features with the k-th nearest others;
/// the papers recommend k = 5. It takes N², M² and N M distances, tile by tile, and the memory of a copy of the sets.
///
/// # Errors
/// If a set has no more than k samples, k is 0, widths differ, or numbers are not finite.
pub fn prdc(real: &Features, generated: &Features, k: usize) -> Result<Prdc> {
    if k == 0 {
        return Err(Error::mismatch("precision and recall", "k = 0", "at least 1", "the papers recommend 5"));
    }
    let advice = "every sample is compared with its nearest others; take more samples";
    check_sets(real, generated, k.saturating_add(1), "precision and recall", advice)?;
    let real = Balls::new(real, k, "real");
    let generated = Balls::new(generated, k, "generated");
    let (neighbours, hits) = compare(&real, &generated);
    let [n, m] = [neighbours.len() as f64, hits.len() as f64];
    let share = |count: usize, of: f64| count as f64 / of;
    let warnings: Vec<String> = [&real, &generated].into_iter().filter_map(|balls| balls.warning(k)).collect();
    Ok(Prdc {
        precision: share(hits.iter().filter(|hit| **hit).count(), m),
        recall: share(neighbours.iter().filter(|real| real.reached).count(), n),
        density: share(neighbours.iter().map(|real| real.inside).sum(), m * k as f64),
        coverage: share(neighbours.iter().filter(|real| real.inside > 0).count(), n),
        warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
    })
}

/// A set with the balls around its samples.
struct Balls<'a> {
    features: &'a Features,
    radii_squared: Vec<f64>,
    what: &'static str,
}

impl<'a> Balls<'a> {
    fn new(features: &'a Features, k: usize, what: &'static str) -> Self {
        let radii_squared = nearest_others(features, k).iter().map(|nearest| nearest.found[k - 1].0).collect();
        Self { features, radii_squared, what }
    }

    fn limits(&self, frame: &Frame) -> Vec<Limit> {
        self.radii_squared.iter().map(|squared| Limit::new(frame, *squared)).collect()
    }

    fn warning(&self, k: usize) -> Option<String> {
        let empty = self.radii_squared.iter().filter(|squared| **squared == 0.0).count();
        let all = counted(self.radii_squared.len(), &format!("{} sample", self.what));
        let others = counted(k, "other");
        (empty > 0)
            .then(|| format!("{empty} of {all} equal at least {others}: their balls have radius 0 and hold nothing"))
    }
}

/// Generated samples near a real one.
#[derive(Clone, Default)]
struct Neighbours {
    /// Number of generated samples inside its ball.
    inside: usize,
    /// Whether it is inside the ball of any.
    reached: bool,
}

/// Returns the neighbours of every real sample, and whether each generated one is inside any real ball.
fn compare(real: &Balls<'_>, generated: &Balls<'_>) -> (Vec<Neighbours>, Vec<bool>) {
    let frame = Frame::of(&[real.features, generated.features]);
    let rows = frame.place(real.features);
    let columns = frame.place(generated.features);
    let real_limits = real.limits(&frame);
    let limits = generated.limits(&frame);
    let hits: Vec<AtomicBool> = limits.iter().map(|_| AtomicBool::new(false)).collect();
    let mut neighbours = vec![Neighbours::default(); rows.len()];
    Pairs::new(&frame, &rows, &columns).sweep(&mut neighbours, |neighbours, strip| {
        let own = real_limits[strip.row];
        for pair in strip.bounds().filter(|pair| may_be_within(*pair, own, limits[pair.column])) {
            if strip.is_within(pair, own) {
                neighbours.inside += 1;
                hits[pair.column].store(true, Ordering::Relaxed);
            }
            neighbours.reached = neighbours.reached || strip.is_within(pair, limits[pair.column]);
        }
    });
    (neighbours, hits.into_iter().map(AtomicBool::into_inner).collect())
}

const KYNKAANNIEMI: &str = "Kynkäänniemi et al. 2019, arXiv:1904.06991";
const NAEEM: &str = "Naeem et al. 2020, arXiv:2002.09797";

/// Returns one of the four figures, which are computed together.
fn measured(inputs: &Inputs<'_>, figure: impl Fn(&Prdc) -> f64) -> Result<Measured> {
    let found = inputs.shared(|| {
        let (real, generated) = inputs.same_number_of_neighbours();
        prdc(&real, &generated, NEAREST)
    })?;
    Ok(Measured { warning: found.warning.clone(), ..figure(&found).into() })
}

/// The share of generated samples near real ones.
pub(crate) static PRECISION: Metric = Metric {
    in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images, DataKind::Points],
    in_evaluation: &[DataKind::PointsAroundModes],
    ..Metric::new("precision", "Precision", Better::Higher, KYNKAANNIEMI, |inputs| measured(inputs, |f| f.precision))
};

/// The share of real samples near generated ones.
pub(super) static RECALL: Metric = Metric {
    in_training: &[DataKind::Classes, DataKind::ManyClasses, DataKind::Images, DataKind::Points],
    in_evaluation: &[DataKind::PointsAroundModes],
    ..Metric::new("recall", "Recall", Better::Higher, KYNKAANNIEMI, |inputs| measured(inputs, |f| f.recall))
};

/// The mean number of real neighbourhoods that a generated sample is inside of, over k.
pub(super) static DENSITY: Metric = Metric {
    in_training: &[DataKind::Classes, DataKind::Images],
    in_evaluation: &[DataKind::Points],
    ..Metric::new("density", "Density", Better::Higher, NAEEM, |inputs| measured(inputs, |f| f.density))
};

/// The share of real samples with a generated one in their neighbourhood.
pub static COVERAGE: Metric = Metric {
    in_training: DataKind::ALL,
    ..Metric::new("coverage", "Coverage", Better::Higher, NAEEM, |inputs| measured(inputs, |f| f.coverage))
};

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
    fn equals_plain_loops() {
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
    fn balls_of_radius_zero_are_an_error() {
        let constant = Features::new(vec![1.0; 40], 4).unwrap();
        let found = prdc(&made(1, 30, 4, 1.0), &constant, 5).unwrap();
        assert!(found.warning.unwrap().starts_with("10 of 10 generated samples equal at least 5 others"));
        assert_eq!(found.recall, 0.0);
        assert_eq!(numbers(&prdc(&constant, &constant, 5).unwrap()), [0.0; 4]);
    }

    #[test]
    fn bad_input_is_an_error() {
        let (five, six) = (made(1, 5, 2, 1.0), made(1, 6, 2, 1.0));
        assert!(prdc(&six, &five, 5).unwrap_err().to_string().contains("5 generated samples are too few, at least 6"));
        assert!(prdc(&six, &six, 5).is_ok());
        assert!(prdc(&six, &six, 0).is_err());
        assert!(prdc(&six, &made(1, 6, 3, 1.0), 5).unwrap_err().to_string().contains("2 and 3 numbers"));
        let holed = Features::new(vec![f32::INFINITY; 12], 2).unwrap();
        assert!(prdc(&six, &holed, 5).unwrap_err().to_string().contains("generated features"));
    }
}
