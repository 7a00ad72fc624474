//! What a classifier says about samples: the classifier score, confidence, and how the classes are spread.
//!
//! Score: exp(E KL(p(y|x) ‖ p(y))), the form of the Inception Score (Salimans et al., "Improved Techniques for Training GANs", 2016),
//! over all samples at once (the paper averages over ten splits, which makes it smaller and noisier). 1 where the classifier cannot tell
//! the samples apart, the number of classes where it is sure of each and they are even. Sums stream: nothing is kept of a sample.

use crate::error::{Error, Result};
use crate::features::Features;

/// Confidences are counted in so many steps from 0 to 1.
const STEPS: usize = 1000;

/// What a classifier said about the samples so far.
#[derive(Clone, Debug)]
pub struct Score {
    /// Σ p(y|x) over the samples, by class.
    sums: Vec<f64>,
    /// Σ Σ p log p.
    negative_entropy: f64,
    /// Samples by their most probable class.
    counts: Vec<usize>,
    /// Samples by the probability of that class.
    confidences: Vec<usize>,
    count: usize,
}

impl Score {
    /// For a classifier of `classes`.
    pub fn new(classes: usize) -> Self {
        let (sums, counts) = (vec![0.0; classes], vec![0; classes]);
        Self { sums, negative_entropy: 0.0, counts, confidences: vec![0; STEPS + 1], count: 0 }
    }

    /// Adds samples' logits `[N, K]`.
    ///
    /// # Errors
    /// If there are not as many as classes, or one is not finite.
    pub fn push(&mut self, logits: &Features) -> Result<()> {
        if logits.dim() != self.sums.len() {
            let (found, expected) = (format!("{} a sample", logits.dim()), format!("{}, one a class", self.sums.len()));
            return Err(Error::Mismatch {
                what: "logits".into(),
                found,
                expected,
                advice: "use one classifier".into(),
            });
        }
        logits.check_finite("the classifier's")?;
        logits.rows().for_each(|row| self.add(row));
        Ok(())
    }

    fn add(&mut self, logits: &[f32]) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = |logit: &f32| f64::from(*logit) - f64::from(largest);
        let log_sum = logits.iter().map(|logit| shifted(logit).exp()).sum::<f64>().ln();
        for (sum, logit) in self.sums.iter_mut().zip(logits) {
            let log_p = shifted(logit) - log_sum;
            *sum += log_p.exp();
            self.negative_entropy += log_p.exp() * log_p;
        }
        let class = logits.iter().position(|logit| *logit == largest).unwrap_or(0);
        self.counts[class] += 1;
        self.confidences[((-log_sum).exp() * STEPS as f64) as usize] += 1;
        self.count += 1;
    }

    /// The classifier score, from 1 to the number of classes; not a number without samples.
    pub fn score(&self) -> f64 {
        let n = self.count as f64;
        let shares = self.sums.iter().map(|sum| sum / n);
        let entropy = -shares.filter(|p| *p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        (self.negative_entropy / n + entropy).exp()
    }

    /// Samples by their most probable class `[K]`.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The share of samples whose most probable class has at least `threshold`, a probability, counted in thousandths.
    pub fn confident(&self, threshold: f64) -> f64 {
        let from = (threshold.clamp(0.0, 1.0) * STEPS as f64).round() as usize;
        self.confidences[from..].iter().sum::<usize>() as f64 / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(rows: &[&[f32]]) -> Score {
        let mut score = Score::new(rows[0].len());
        rows.iter().for_each(|row| score.push(&Features::new(row.to_vec(), row.len()).unwrap()).unwrap());
        score
    }

    #[test]
    fn it_is_the_formula_over_all_samples() {
        let rows: Vec<Vec<f32>> =
            (0..50).map(|i| (0..4).map(|j| ((i * 7 + j * 13) % 11) as f32 * 0.4 - 2.0).collect()).collect();
        let p: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                let e: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
                e.iter().map(|x| x / e.iter().sum::<f64>()).collect()
            })
            .collect();
        let mean = |j: usize| p.iter().map(|row| row[j]).sum::<f64>() / 50.0;
        let kl: f64 =
            p.iter().map(|row| (0..4).map(|j| row[j] * (row[j] / mean(j)).ln()).sum::<f64>()).sum::<f64>() / 50.0;
        let score = scored(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!((score.score() - kl.exp()).abs() < 1e-12, "{} {}", score.score(), kl.exp());
        let over = p.iter().filter(|row| row.iter().any(|p| *p >= 0.6)).count() as f64 / 50.0;
        assert!((score.confident(0.6) - over).abs() < 1e-12);
    }

    #[test]
    fn sure_and_even_is_the_number_of_classes_and_unsure_is_one() {
        let sure = scored(&[&[40.0, 0.0, 0.0], &[0.0, 40.0, 0.0], &[0.0, 0.0, 40.0]]);
        assert!((sure.score() - 3.0).abs() < 1e-9);
        assert_eq!((sure.confident(0.9), sure.counts()), (1.0, &[1, 1, 1][..]));
        let unsure = scored(&[&[1.0, 1.0, 1.0], &[-5.0, -5.0, -5.0]]);
        assert!((unsure.score() - 1.0).abs() < 1e-12 && unsure.confident(0.9) == 0.0);
    }

    #[test]
    fn other_numbers_of_classes_and_none_are_refused() {
        let mut score = Score::new(3);
        assert!(score.push(&Features::new(vec![1.0; 4], 2).unwrap()).unwrap_err().to_string().contains("2 a sample"));
        let nan = Features::new(vec![1.0, f32::NAN, 0.0], 3).unwrap();
        assert!(score.push(&nan).unwrap_err().to_string().contains("NaN"));
    }
}
