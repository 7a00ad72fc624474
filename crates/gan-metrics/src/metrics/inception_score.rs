//! What a classifier says of generated samples: the score exp(E KL(p(y|x) ‖ p(y))) of Salimans et al., "Improved Techniques for
//! Training GANs", 2016 (the Inception Score where the classifier is Inception), the classes that samples fall into, and how
//! sure it is of them.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo, Needs};
use crate::embed::FeatureSpace;
use crate::error::{Error, Result};
use crate::features::Features;
use gan_base::messages::counted;

/// How a score is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scoring {
    /// Parts to score apart, for a spread. One scores all samples together. Common implementations take ten; the score of a
    /// part is lower the fewer samples it has, so scores go with their number of splits.
    pub splits: usize,
    /// Largest probability above which a sample counts as sure.
    pub sure: f64,
}

impl Default for Scoring {
    /// All samples together; sure above 0.9.
    fn default() -> Self {
        Self { splits: 1, sure: 0.9 }
    }
}

/// Sums over classifiers' logits that stream by: memory for K numbers a split.
#[derive(Clone, Debug)]
pub struct Scorer {
    scoring: Scoring,
    splits: Vec<Split>,
    histogram: Vec<u64>,
    count: u64,
    sure: u64,
    confidence: f64,
}

/// A part's sums.
#[derive(Clone, Debug)]
struct Split {
    count: u64,
    /// Σ p(y|x) `[K]`
    probabilities: Vec<f64>,
    /// Σ Σ p(y|x) log p(y|x)
    negentropy: f64,
}

/// A classifier score and what else it saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The mean over the splits: from 1 (always the same prediction) to K (sure predictions, all classes alike).
    pub mean: f64,
    /// The standard deviation over the splits (over their number, as numpy's `std`); 0 for one.
    pub std: f64,
    /// How many samples were predicted as each class `[K]`.
    pub histogram: Vec<u64>,
    /// The mean of the largest probability.
    pub confidence: f64,
    /// The share of samples whose largest probability is above [`Scoring::sure`].
    pub sure: f64,
}

impl Scorer {
    /// For logits of `classes` classes.
    ///
    /// # Errors
    /// Without classes or splits.
    pub fn new(classes: usize, scoring: Scoring) -> Result<Self> {
        if classes == 0 || scoring.splits == 0 {
            let found = format!("{} and {}", counted(classes, "class"), counted(scoring.splits, "split"));
            let (what, expected) = ("classifier score".into(), "at least one of each".into());
            return Err(Error::Mismatch {
                what,
                found,
                expected,
                advice: "check the classifier and the splits".into(),
            });
        }
        let split = Split { count: 0, probabilities: vec![0.0; classes], negentropy: 0.0 };
        let (splits, histogram) = (vec![split; scoring.splits], vec![0; classes]);
        Ok(Self { scoring, splits, histogram, count: 0, sure: 0, confidence: 0.0 })
    }

    /// Takes logits `[N, K]` in. Sample i goes to split i mod `splits`, so that the number of samples need not be known before.
    ///
    /// # Errors
    /// If there are not K a sample or they are not finite; then nothing has changed.
    pub fn push(&mut self, logits: &Features) -> Result<()> {
        if logits.dim() != self.histogram.len() {
            let (found, expected) = (format!("{} a sample", logits.dim()), self.histogram.len().to_string());
            let (what, advice) = ("logits".into(), "use one classifier throughout".into());
            return Err(Error::Mismatch { what, found, expected, advice });
        }
        logits.check_finite("classifier's")?;
        logits.rows().for_each(|row| self.push_row(row));
        Ok(())
    }

    /// The score of what was pushed.
    ///
    /// # Errors
    /// Without a sample for every split.
    pub fn score(&self) -> Result<Score> {
        if self.count < self.splits.len() as u64 {
            let (found, needed, advice) = (self.count as usize, self.splits.len(), "every split takes at least one");
            return Err(Error::TooFew { metric: "classifier score", what: "generated", found, needed, advice });
        }
        let scores: Vec<f64> = self.splits.iter().map(Split::score).collect();
        let (splits, count) = (scores.len() as f64, self.count as f64);
        let mean = scores.iter().sum::<f64>() / splits;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / splits;
        let (confidence, sure) = (self.confidence / count, self.sure as f64 / count);
        Ok(Score { mean, std: variance.sqrt(), histogram: self.histogram.clone(), confidence, sure })
    }

    fn push_row(&mut self, logits: &[f32]) {
        let logs = log_softmax(logits);
        let split = (self.count % self.splits.len() as u64) as usize;
        let (class, largest) = largest(&logs);
        self.splits[split].push(&logs);
        self.histogram[class] += 1;
        self.confidence += largest.exp();
        self.sure += u64::from(largest.exp() > self.scoring.sure);
        self.count += 1;
    }
}

impl Split {
    fn push(&mut self, logs: &[f64]) {
        self.count += 1;
        for (sum, log) in self.probabilities.iter_mut().zip(logs) {
            let p = log.exp();
            *sum += p;
            // p log p goes to 0 with p, however large log p gets.
            self.negentropy += if p > 0.0 { p * log } else { 0.0 };
        }
    }

    /// E KL(p(y|x) ‖ p(y)) = E Σ p(y|x) log p(y|x) − Σ p(y) log p(y)
    fn score(&self) -> f64 {
        let count = self.count as f64;
        let marginal = self.probabilities.iter().map(|sum| sum / count).filter(|p| *p > 0.0);
        (self.negentropy / count - marginal.map(|p| p * p.ln()).sum::<f64>()).exp()
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
    logits.iter().map(|logit| f64::from(*logit) - largest - sum.ln()).collect()
}

/// The class with the largest value, the first of equals, and that value.
fn largest(values: &[f64]) -> (usize, f64) {
    let first = (0, f64::NEG_INFINITY);
    values.iter().copied().enumerate().fold(first, |best, (at, value)| if value > best.1 { (at, value) } else { best })
}

const PAPER: &str = "Salimans et al. 2016, arXiv:1606.03498";

/// What the classifier predicted, for the metric `key`.
pub(super) fn score(inputs: &Inputs<'_>, key: &str) -> Result<Score> {
    inputs.scorer.ok_or_else(|| lacks(key, "a network that classifies"))?.score()
}

/// exp(E KL(p(y|x) ‖ p(y))) of one classifier's predictions, over all samples at once. It is called Inception Score only where the
/// classifier is Inception-v3.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierScore {
    key: &'static str,
    title: &'static str,
    classifier: FeatureSpace,
    aliases: &'static [&'static str],
}

/// Of the digit classifier: from 1 to 10.
pub const DIGIT_SCORE: ClassifierScore =
    ClassifierScore { key: "digit_score", title: "Digit score", classifier: FeatureSpace::Digits, aliases: &[] };
/// Of Inception-v3, in one split; papers take the mean of ten.
pub const INCEPTION_SCORE: ClassifierScore = ClassifierScore {
    key: "inception_score",
    title: "Inception Score, one split",
    classifier: FeatureSpace::Inception,
    aliases: &["is", "isc"],
};
/// Of a user's classifier.
pub const CLASSIFIER_SCORE: ClassifierScore = ClassifierScore {
    key: "classifier_score",
    title: "Classifier score",
    classifier: FeatureSpace::Classifier,
    aliases: &[],
};

impl Metric for ClassifierScore {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::ClassesOf(self.classifier),
            in_evaluation: &[DataKind::Classes],
            aliases: self.aliases,
            ..MetricInfo::new(self.key, self.title, Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(score(inputs, self.key)?.mean.into())
    }
}

/// The share of samples that the classifier gives over 0.9 to one class.
#[derive(Clone, Copy, Debug)]
pub struct Confidence;

impl Metric for Confidence {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::Classes,
            in_training: &[DataKind::Classes, DataKind::ManyClasses],
            ..MetricInfo::new("confidence", "Classified with over 0.9 confidence", Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(score(inputs, "confidence")?.sure.into())
    }
}

/// The largest departure of a class's share from an even one, relative to it.
#[derive(Clone, Copy, Debug)]
pub struct ClassBalance;

impl Metric for ClassBalance {
    fn info(&self) -> MetricInfo {
        let title = "Largest departure of a class from its share";
        MetricInfo {
            needs: Needs::Classes,
            in_training: &[DataKind::Classes],
            ..MetricInfo::new("class_balance", title, Better::Lower, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let counts = score(inputs, "class_balance")?.histogram;
        let even = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        Ok(counts.iter().map(|count| (*count as f64 / even - 1.0).abs()).fold(0.0, f64::max).into())
    }
}

/// The share of samples that the classifier takes for the class that they were generated as; for generators that know classes.
#[derive(Clone, Copy, Debug)]
pub struct ClassAccuracy;

impl Metric for ClassAccuracy {
    fn info(&self) -> MetricInfo {
        let (title, paper) = ("Classified as the class of the condition", "Odena et al. 2017, arXiv:1610.09585");
        MetricInfo {
            needs: Needs::Labels,
            in_training: &[DataKind::Classes],
            ..MetricInfo::new("class_accuracy", title, Better::Higher, paper)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok((inputs.labelled.recognised as f64 / inputs.labelled.samples as f64).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_base::Rng;

    fn scored(logits: &Features, splits: usize) -> Score {
        let mut scorer = Scorer::new(logits.dim(), Scoring { splits, ..Scoring::default() }).unwrap();
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
    fn is_what_plain_loops_give_and_batches_do_not_matter() {
        let logits = made(50, 7);
        let whole = scored(&logits, 1);
        assert!((whole.mean - plain(&logits)).abs() < 1e-12 * whole.mean);
        let mut scorer = Scorer::new(7, Scoring::default()).unwrap();
        for batch in logits.values().chunks(7 * 8) {
            scorer.push(&Features::new(batch.to_vec(), 7).unwrap()).unwrap();
        }
        assert_eq!(scorer.score().unwrap(), whole);
    }

    #[test]
    fn splits_take_samples_in_turn() {
        let logits = made(31, 4);
        let parts: Vec<f64> =
            (0..3).map(|split| plain(&logits.pick(&(split..31).step_by(3).collect::<Vec<_>>()))).collect();
        let (found, mean) = (scored(&logits, 3), parts.iter().sum::<f64>() / 3.0);
        let std = (parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
        assert!((found.mean - mean).abs() < 1e-12 && (found.std - std).abs() < 1e-12);
    }

    #[test]
    fn runs_from_one_to_the_number_of_classes() {
        let eye = Features::new((0..25).map(|at| if at / 5 == at % 5 { 1e4 } else { -1e4 }).collect(), 5).unwrap();
        let all = scored(&eye, 1);
        assert!((all.mean - 5.0).abs() < 1e-12);
        assert_eq!((all.histogram, all.confidence, all.sure), (vec![1; 5], 1.0, 1.0));
        let same = scored(&Features::new([1.0, 1.0, 0.0].repeat(6), 3).unwrap(), 1);
        assert!((same.mean - 1.0).abs() < 1e-12);
        assert_eq!((same.histogram, same.sure), (vec![6, 0, 0], 0.0));
    }

    #[test]
    fn bad_input_is_told() {
        assert!(Scorer::new(0, Scoring::default()).is_err());
        let mut scorer = Scorer::new(3, Scoring { splits: 2, sure: 0.9 }).unwrap();
        assert!(scorer.push(&made(2, 4)).unwrap_err().to_string().contains("4 a sample"));
        assert!(scorer.push(&Features::new(vec![f32::NAN; 3], 3).unwrap()).is_err());
        scorer.push(&made(1, 3)).unwrap();
        assert!(scorer.score().unwrap_err().to_string().contains("at least 2"));
    }
}
