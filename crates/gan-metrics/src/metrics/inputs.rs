//! What a metric measures: a set of samples beside the real ones. What several metrics share is computed once.

use super::MetricRef;
use super::inception_score::Scorer;
use super::mode_coverage::ModesOf;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::moments::Moments;
use crate::protocol::Protocol;
use gan_base::Rng;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A metric's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Standard deviation over subsets, for metrics that have one.
    pub deviation: Option<f64>,
    /// Why not to trust it.
    pub warning: Option<String>,
}

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self { value, deviation: None, warning: None }
    }
}

/// Samples that were generated as a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labelled {
    /// How many there are.
    pub samples: u64,
    /// How many the classifier takes for the class that they were generated as.
    pub recognised: u64,
}

/// Samples and the real ones that they are measured against.
pub struct Inputs<'a> {
    /// Features of real samples `[N, D]`.
    pub real: &'a Features,
    /// Moments of all real samples.
    pub real_moments: &'a Moments,
    /// Features of real samples that were not trained on `[H, D]`.
    pub held_out: &'a Features,
    /// Features of samples that were trained on `[T, D]`.
    pub train: &'a Features,
    /// Features of generated samples `[M, D]`.
    pub generated: &'a Features,
    /// Moments of all generated samples.
    pub moments: &'a Moments,
    /// The classifier's predictions of generated samples.
    pub scorer: Option<&'a Scorer>,
    /// Generated samples with the classes that they were generated as.
    pub labelled: Labelled,
    /// The modes of the data.
    pub modes: Option<&'a ModesOf>,
    /// The published protocol that is followed.
    pub protocol: Option<Protocol>,
    /// Decides every choice among samples.
    pub seed: u64,
    pub(crate) shared: Cache,
    pub(crate) real_shared: &'a Cache,
}

impl Inputs<'_> {
    /// Returns the random numbers of one metric. `label` is part of its definition: another one gives other numbers.
    pub fn rng(&self, label: &str) -> Rng {
        Rng::stream(self.seed, label)
    }

    /// Returns the first real and generated samples, as many of each: for methods that depend on the numbers.
    pub fn same_number(&self) -> (Features, Features) {
        let n = self.real.len().min(self.generated.len());
        (self.real.first(n), self.generated.first(n))
    }

    /// Returns what several metrics of these samples share, made by the first of them.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.shared.get_or_make(make)
    }

    /// Returns what is made of the real samples alone, once for all sets that are compared with them.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared_of_real<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.real_shared.get_or_make(make)
    }

    /// Measures `metric`, and says of too few samples whose they are.
    pub(crate) fn measure(&self, metric: MetricRef) -> Result<Measured> {
        let cut = self.generated.len();
        metric.measure(self).map_err(|error| match error {
            // As many real samples as generated ones were taken: it is the generated ones that are too few.
            Error::TooFew { metric, what: "real", found, needed, advice } if found == cut && cut < self.real.len() => {
                Error::TooFew { metric, what: "generated", found, needed, advice }
            }
            other => other,
        })
    }
}

/// Values by their type.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Cache {
    fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<T>()).cloned();
        if let Some(known) = known.and_then(|known| known.downcast().ok()) {
            return Ok(known);
        }
        // Not under the lock: what is made may itself need something that is shared.
        let made = Arc::new(make()?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<T>(), Arc::clone(&made) as _);
        Ok(made)
    }
}

/// The error of a metric that lacks `what`.
pub(crate) fn lacks(key: &str, what: &str) -> Error {
    Error::Mismatch {
        what: format!("metric \"{key}\""),
        found: "none".into(),
        expected: what.into(),
        advice: "leave the metric out".into(),
    }
}
