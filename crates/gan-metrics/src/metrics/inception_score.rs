//! Predictions of a classifier for generated samples: the score exp(E KL(p(y|x) ‖ p(y))) of Salimans et al., "Improved Techniques for
//! Training GANs", 2016 (the Inception Score if the classifier is Inception), the distribution over the classes, and the confidence.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Metric, Needs};
use crate::embed::FeatureSpace;
use crate::error::{Error, Result};
use crate::features::{Features, check_widths};

/// Largest probability above which a prediction counts as confident.
const CONFIDENT: f64 = 0.9;

/// Sums over a classifier's logits that are added in batches.
#[derive(Clone, Debug)]
pub(crate) struct Scorer {
    count: u64,
    /// Σ p(y|x) `[K]`
    probabilities: Vec<f64>,
    /// Σ Σ p(y|x) log p(y|x)
    negentropy: f64,
    histogram: Vec<u64>,
    confident: u64,
}

/// A classifier's predictions for all samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Score {
    /// exp(E KL(p(y|x) ‖ p(y))) over all samples at once: from 1 (always the same prediction) to K (certain predictions, all classes equal).
    pub(crate) value: f64,
    /// Number of samples that are assigned to each class `[K]`.
    pub(crate) histogram: Vec<u64>,
    /// Share of samples whose largest probability is above 0.9.
    pub(crate) confident: f64,
}

impl Scorer {
    /// Returns a scorer for logits of `classes` classes; `None` without classes.
    pub(crate) fn new(classes: usize) -> Option<Self> {
        let scorer = Self {
            count: 0,
            probabilities: vec![0.0; classes],
            negentropy: 0.0,
            histogram: vec![0; classes],
            confident: 0,
        };
        (classes > 0).then_some(scorer)
    }

    /// Adds logits `[N, K]`. If it fails, nothing changes.
    pub(crate) fn push(&mut self, logits: &Features) -> Result<()> {
        check_widths("logits", logits.dim(), self.histogram.len())?;
        logits.check_finite("classifier's")?;
        logits.rows().for_each(|row| self.push_row(row));
        Ok(())
    }

    fn push_row(&mut self, logits: &[f32]) {
        let logs = log_softmax(logits);
        for (sum, log) in self.probabilities.iter_mut().zip(&logs) {
            let p = log.exp();
            *sum += p;
            // p log p goes to 0 with p, however large log p gets.
            self.negentropy += if p > 0.0 { p * log } else { 0.0 };
        }
        let (class, largest) = largest(&logs);
        self.histogram[class] += 1;
        self.confident += u64::from(largest.exp() > CONFIDENT);
        self.count += 1;
    }

    pub(super) fn score(&self) -> Result<Score> {
        if self.count == 0 {
            let advice = "generate some";
            return Err(Error::TooFew { metric: "classifier score", what: "generated", found: 0, needed: 1, advice });
        }
        let count = self.count as f64;
        // E KL(p(y|x) ‖ p(y)) = E Σ p(y|x) log p(y|x) − Σ p(y) log p(y)
        let marginal = self.probabilities.iter().map(|sum| sum / count).filter(|p| *p > 0.0);
        let value = (self.negentropy / count - marginal.map(|p| p * p.ln()).sum::<f64>()).exp();
        Ok(Score { value, histogram: self.histogram.clone(), confident: self.confident as f64 / count })
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
    logits.iter().map(|logit| f64::from(*logit) - largest - sum.ln()).collect()
}

/// Returns the class with the largest value, the first of equal ones, and that value.
fn largest(values: &[f64]) -> (usize, f64) {
    let first = (0, f64::NEG_INFINITY);
    values.iter().copied().enumerate().fold(first, |best, (at, value)| if value > best.1 { (at, value) } else { best })
}

const PAPER: &str = "Salimans et al. 2016, arXiv:1606.03498";

/// Returns the classifier's predictions for the generated samples.
pub(super) fn score(inputs: &Inputs<'_>) -> Result<Score> {
    inputs.scorer.ok_or_else(|| lacks("classes", "a network that classifies"))?.score()
}

/// Returns the score of one classifier's predictions. It is called Inception Score only if the classifier is Inception-v3.
const fn classifier_score(
    key: &'static str,
    title: &'static str,
    classifier: FeatureSpace,
    aliases: &'static [&'static str],
) -> Metric {
    Metric {
        needs: Needs::ClassesOf(classifier),
        in_evaluation: &[DataKind::Classes],
        aliases,
        ..Metric::new(key, title, Better::Higher, PAPER, |inputs| Ok(score(inputs)?.value.into()))
    }
}

pub(super) static DIGIT_SCORE: Metric = classifier_score("digit_score", "Digit score", FeatureSpace::Digits, &[]);
/// In one split; papers take the mean of ten.
pub(super) static INCEPTION_SCORE: Metric =
    classifier_score("inception_score", "Inception Score, one split", FeatureSpace::Inception, &["is", "isc"]);
pub(super) static CLASSIFIER_SCORE: Metric =
    classifier_score("classifier_score", "Classifier score", FeatureSpace::Classifier, &[]);

/// The share of samples to one of whose classes the classifier gives over 0.9.
pub(super) static CONFIDENCE: Metric = Metric {
    needs: Needs::Classes,
    in_training: &[DataKind::Classes, DataKind::ManyClasses],
    ..Metric::new("confidence", "Classified with over 0.9 confidence", Better::Higher, PAPER, |inputs| {
        Ok(score(inputs)?.confident.into())
    })
};

/// The largest deviation of a class's share from a uniform one, relative to it.
pub(super) static CLASS_BALANCE: Metric = Metric {
    needs: Needs::Classes,
    in_training: &[DataKind::Classes],
    ..Metric::new("class_balance", "Largest departure of a class from its share", Better::Lower, PAPER, |inputs| {
        let counts = score(inputs)?.histogram;
        let even = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        Ok(counts.iter().map(|count| (*count as f64 / even - 1.0).abs()).fold(0.0, f64::max).into())
    })
};

/// The share of samples that the classifier assigns to the class for which they were generated; for conditional generators.
pub(super) static CLASS_ACCURACY: Metric = Metric {
    needs: Needs::Labels,
    in_training: &[DataKind::Classes],
    ..Metric::new(
        "class_accuracy",
        "Classified as the class of the condition",
        Better::Higher,
        "Odena et al. 2017, arXiv:1610.09585",
        |inputs| Ok((inputs.labelled.recognised as f64 / inputs.labelled.samples as f64).into()),
    )
};

#[cfg(test)]
mod tests {
    use super::*;
    use gan_base::Rng;

    fn scored(logits: &Features) -> Score {
        let mut scorer = Scorer::new(logits.dim()).unwrap();
        scorer.push(logits).unwrap();
        scorer.score().unwrap()
    }

    fn made(n: usize, classes: usize) -> Features {
        let mut rng = Rng::new(3);
        Features::new((0..n * classes).map(|_| rng.normal() * 2.0).collect(), classes).unwrap()
    }

    /// exp of the mean KL, sample by sample.
    fn plain(logits: &Features) -> f64 {
        let softmax = |row: &[f32]| {
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            row.iter().map(|x| f64::from(*x).exp() / sum).collect::<Vec<f64>>()
        };
        let all: Vec<Vec<f64>> = logits.rows().map(softmax).collect();
        let n = all.len() as f64;
        let marginal: Vec<f64> = (0..logits.dim()).map(|k| all.iter().map(|p| p[k]).sum::<f64>() / n).collect();
        let kl = |p: &Vec<f64>| p.iter().zip(&marginal).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        (all.iter().map(kl).sum::<f64>() / n).exp()
    }

    #[test]
    fn equals_plain_loops_for_any_batch_size() {
        let logits = made(50, 7);
        let whole = scored(&logits);
        assert!((whole.value - plain(&logits)).abs() < 1e-12 * whole.value);
        let mut scorer = Scorer::new(7).unwrap();
        for batch in logits.values().chunks(7 * 8) {
            scorer.push(&Features::new(batch.to_vec(), 7).unwrap()).unwrap();
        }
        assert_eq!(scorer.score().unwrap(), whole);
    }

    #[test]
    fn runs_from_one_to_the_number_of_classes() {
        let eye = Features::new((0..25).map(|at| if at / 5 == at % 5 { 1e4 } else { -1e4 }).collect(), 5).unwrap();
        let all = scored(&eye);
        assert!((all.value - 5.0).abs() < 1e-12);
        assert_eq!((all.histogram, all.confident), (vec![1; 5], 1.0));
        let same = scored(&Features::new([1.0, 1.0, 0.0].repeat(6), 3).unwrap());
        assert!((same.value - 1.0).abs() < 1e-12);
        assert_eq!((same.histogram, same.confident), (vec![6, 0, 0], 0.0));
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(Scorer::new(0).is_none());
        let mut scorer = Scorer::new(3).unwrap();
        assert!(scorer.push(&made(2, 4)).unwrap_err().to_string().contains("4 and 3 numbers a sample"));
        assert!(scorer.push(&Features::new(vec![f32::NAN; 3], 3).unwrap()).is_err());
        assert!(scorer.score().unwrap_err().to_string().contains("at least 1"));
    }
}
