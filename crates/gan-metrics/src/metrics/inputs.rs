//! What metrics measure: a set of samples and the real ones. Intermediate results that several metrics share are computed once.

use super::Metric;
use super::inception_score::Scorer;
use super::mode_coverage::ModesOf;
use super::swd_patches::Patches;
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

/// Samples that were generated for a class, and how many of them the classifier assigns to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Labelled {
    pub(crate) samples: u64,
    pub(crate) recognised: u64,
}

/// Samples among which copies are searched: pictures of images, or features that tell single samples apart.
#[derive(Clone, Copy)]
pub struct CopySearch<'a> {
    /// Generated samples `[M, D]`.
    pub generated: &'a Features,
    /// Training samples `[T, D]`.
    pub training: &'a Features,
    /// Real samples that were not used for training `[H, D]`, if there are any.
    pub held_out: Option<&'a Features>,
    /// Whether they are pictures, which may be mirrored.
    pub are_pictures: bool,
}

/// Samples and the real ones that they are compared with.
pub struct Inputs<'a> {
    /// Features of real samples `[N, D]`.
    pub real: &'a Features,
    /// Moments of all real samples.
    pub real_moments: &'a Moments,
    /// Features of generated samples `[M, D]`.
    pub generated: &'a Features,
    /// Moments of all generated samples.
    pub moments: &'a Moments,
    /// Real and generated samples in the space in which single samples are compared: the features, or pictures of the images.
    pub neighbours: [&'a Features; 2],
    /// Samples among which copies are searched.
    pub copies: CopySearch<'a>,
    /// The published protocol that is followed.
    pub protocol: Option<Protocol>,
    /// Seed of every choice among samples.
    pub seed: u64,
    /// Predictions of the classifier for generated samples.
    pub(crate) scorer: Option<&'a Scorer>,
    pub(crate) labelled: Labelled,
    pub(crate) patches: Option<&'a Patches>,
    pub(crate) real_patches: Option<&'a Patches>,
    pub(crate) modes: Option<&'a ModesOf>,
    pub(crate) cache: Cache,
    pub(crate) real_cache: &'a Cache,
}

impl Inputs<'_> {
    /// Returns the random numbers of one metric. `label` is part of its definition: another label gives other numbers.
    pub fn rng(&self, label: &str) -> Rng {
        Rng::stream(self.seed, label)
    }

    /// Returns the first real and generated samples, the same number of each, for methods whose value depends on the numbers.
    pub fn same_number(&self) -> (Features, Features) {
        same_number([self.real, self.generated])
    }

    /// Returns the same number of both in the space in which single samples are compared.
    pub fn same_number_of_neighbours(&self) -> (Features, Features) {
        same_number(self.neighbours)
    }

    /// Returns an intermediate result that several metrics of these samples share; the first of them computes it by `make`.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.cache.get_or_make(make)
    }

    /// Returns an intermediate result of the real samples, computed once for all sets that are compared with them.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn shared_of_real<T: Any + Send + Sync>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.real_cache.get_or_make(make)
    }

    /// Measures `metric`; the error for too few samples says whether they are real or generated.
    pub(crate) fn measure(&self, metric: &Metric) -> Result<Measured> {
        let cut = self.generated.len();
        (metric.measure)(self).map_err(|error| match error {
            // The real samples were cut to the number of the generated ones, which are too few.
            Error::TooFew { metric, what: "real", found, needed, advice } if found == cut && cut < self.real.len() => {
                Error::TooFew { metric, what: "generated", found, needed, advice }
            }
            other => other,
        })
    }
}

fn same_number([real, generated]: [&Features; 2]) -> (Features, Features) {
    let n = real.len().min(generated.len());
    (real.first(n), generated.first(n))
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
        // Computed without the lock, because `make` may need another shared value.
        let made = Arc::new(make()?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<T>(), Arc::clone(&made) as _);
        Ok(made)
    }
}

/// Returns the error of the metric `key` if `what` is missing.
pub(crate) fn lacks(key: &str, what: &str) -> Error {
    Error::mismatch(format!("metric \"{key}\""), "none", what, "leave the metric out")
}
