//! Noise of any shape, made from a seed: for benchmarks and tests that must not depend on files.

use super::{DatasetSpec, Info, OpenOptions, SampleSizes, check_count};
use crate::{Dataset, Error};
use gan_base::Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Synthetic samples: noise in the shape of the options, in as many classes as they name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Synthetic {
    /// Number of samples.
    pub count: usize,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { count: 60_000 }
    }
}

impl DatasetSpec for Synthetic {
    const NAME: &'static str = "synthetic";

    const OLD_NAMES: &'static [&'static str] = &["made"];

    const INFO: Info = Info { holds: "noise of any shape, for timing", sizes: SampleSizes::Any, ..Info::IMAGES };

    fn check(&self) -> Result<(), Error> {
        check_count(self.count)
    }

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        let sides = options.fitting.map(|fitting| fitting.size);
        let channels = options.channels.unwrap_or(Self::INFO.channels);
        let shape: Vec<usize> = std::iter::once(channels).chain(sides.into_iter().flatten()).collect();
        Ok(Arc::new(SyntheticSamples::new(options.seed, self.count, shape)?.with_classes(options.classes)))
    }
}

/// How many different samples there are; sample i and sample i + `DISTINCT` are the same.
const DISTINCT: usize = 1 << 16;

/// Noise in [−1, 1), the same for the same seed, number of values and index. Writing a sample is one copy: sample i is a window
/// into one strip of noise, starting at value i (modulo 65,536).
#[derive(Clone, Debug)]
pub struct SyntheticSamples {
    noise: Vec<f32>,
    len: usize,
    shape: Vec<usize>,
    classes: Vec<String>,
}

impl SyntheticSamples {
    /// `len` samples of `shape`, `[C, H, W]` or `[D]`, without classes.
    ///
    /// # Errors
    /// [`Error::Setting`] if there would be no sample, no value, or more than 2³⁰ values in a sample.
    pub fn new(seed: u64, len: usize, shape: impl Into<Vec<usize>>) -> Result<Self, Error> {
        let shape = shape.into();
        let wrong = |found, expected| Err(Error::setting("synthetic samples", found, expected, "choose other sizes"));
        if len == 0 {
            return wrong("0 samples".into(), "at least 1");
        }
        let values = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let Some(values) = values.filter(|values| (1..=1 << 30).contains(values)) else {
            return wrong(format!("the shape {shape:?}"), "1 to 2^30 values a sample");
        };
        // The stream keeps the name that it has always had, so that the samples stay the same.
        let mut rng = Rng::stream(seed, "made images");
        let noise = (0..values + DISTINCT.min(len)).map(|_| rng.uniform(-1.0, 1.0)).collect();
        Ok(Self { noise, len, shape, classes: Vec::new() })
    }

    /// The same samples, in `count` classes: sample i is of class i mod `count`. With 0 they have none.
    #[must_use]
    pub fn with_classes(mut self, count: usize) -> Self {
        self.classes = (0..count).map(|class| class.to_string()).collect();
        self
    }
}

impl Dataset for SyntheticSamples {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        out.copy_from_slice(&self.noise[index % DISTINCT..][..out.len()]);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        let class = (index < self.len).then(|| index.checked_rem(self.classes.len()))??;
        u32::try_from(class).ok()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(data: &SyntheticSamples, index: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; data.pixels()];
        data.write(index, &mut out).unwrap();
        out
    }

    #[test]
    fn images_depend_on_seed_and_index_alone() {
        let data = SyntheticSamples::new(1, 10, [3, 4, 5]).unwrap();
        let longer = SyntheticSamples::new(1, 1 << 20, [3, 4, 5]).unwrap();
        assert_eq!((data.len(), data.shape(), data.pixels()), (10, vec![3, 4, 5], 60));
        assert_eq!(image(&data, 9), image(&longer, 9));
        assert_ne!(image(&data, 0), image(&data, 1));
        assert_ne!(image(&data, 0), image(&SyntheticSamples::new(2, 10, [3, 4, 5]).unwrap(), 0));
        assert_eq!(image(&longer, 3), image(&longer, 3 + DISTINCT));
        assert!(image(&longer, (1 << 20) - 1).iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(data.write(10, &mut [0.0; 60]).is_err());
    }

    #[test]
    fn classes_take_turns() {
        let data = SyntheticSamples::new(1, 10, [1, 2, 2]).unwrap();
        assert_eq!((data.label(4), data.classes().len()), (None, 0));
        let data = data.with_classes(3);
        assert_eq!((data.label(4), data.label(10), data.classes().len()), (Some(1), None, 3));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (len, shape) in [(0, [1, 2, 2]), (1, [1, 0, 2]), (1, [usize::MAX, 2, 2])] {
            let message = SyntheticSamples::new(1, len, shape).unwrap_err().to_string();
            assert!(message.contains("found") && message.contains("expected"), "{message}");
        }
    }
}
