//! Existing samples: images of a folder, arrays of images or points.

use super::images::{Images, VALUES_AT_ONCE, fitted};
use super::{AT_ONCE, Evaluator};
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_data::Dataset;
use gan_data::npy::ImageArray;
use gan_metrics::SampleSet;

/// Threshold below which some part of an image is dark. Numbers from 0 to 1 only use half of the range.
const DARK: f32 = -0.5;

/// Existing samples.
pub struct Given(Kind);

enum Kind {
    Images(Images),
    Array(Box<ImageArray>),
    /// `[N, D]` in [−1, 1].
    Points(Tensor),
}

impl Given {
    pub(super) fn images(images: Images) -> Self {
        Self(Kind::Images(images))
    }

    pub(super) fn array(array: ImageArray) -> Self {
        Self(Kind::Array(Box::new(array)))
    }

    /// Returns points of the set `like` from a flat list of numbers in their original units.
    pub(super) fn points(values: &[f32], like: &dyn Dataset) -> Result<Self> {
        let dim = like.pixels();
        let scaled: Vec<f32> = match like.units() {
            None => values.to_vec(),
            Some(units) => {
                let rows = values.chunks_exact(dim);
                rows.flat_map(|row| units.scaled(&row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())).collect()
            }
        };
        Ok(Self(Kind::Points(Tensor::from_vec(scaled, (values.len() / dim, dim), &Device::Cpu)?)))
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Images(images) => images.set.len(),
            Kind::Array(array) => array.count(),
            Kind::Points(points) => points.dims()[0],
        }
    }

    /// Returns whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Evaluator {
    /// Collects all given samples, and reports the number of each batch to `done`.
    ///
    /// # Errors
    /// If one cannot be read or does not fit the embedding network.
    pub fn collect_given(&self, given: &mut Given, done: &mut dyn FnMut(usize)) -> Result<SampleSet> {
        let mut set = self.suite.sample_set();
        set.expected = given.len();
        set.sizes = self.sample_sizes.clone();
        let mut push = |samples: &Tensor| -> Result<()> {
            set.push_embedded(&self.embedding.of(samples, None)?)?;
            done(samples.dim(0)?);
            Ok(())
        };
        let count = given.len();
        match &mut given.0 {
            Kind::Images(images) => {
                for indices in images.batches(&(0..count).collect::<Vec<_>>()) {
                    images.read(&indices)?.map_or(Ok(()), |samples| push(&samples))?;
                }
            }
            Kind::Points(points) => {
                for from in (0..count).step_by(AT_ONCE) {
                    push(&points.narrow(0, from, AT_ONCE.min(count - from))?)?;
                }
            }
            Kind::Array(array) => {
                let [c, h, w] = array.shape();
                let at_once = (VALUES_AT_ONCE / (c * h * w)).clamp(1, AT_ONCE);
                for from in (0..count).step_by(at_once) {
                    let n = at_once.min(count - from);
                    let samples = Tensor::from_vec(array.read(from, n)?, (n, c, h, w), &Device::Cpu)?;
                    push(&self.fitted(samples)?)?;
                }
                if array.is_within_zero_and_one() && self.suite.lowest().is_some_and(|lowest| lowest < DARK) {
                    set.notes.push(
                        "the array's numbers are all from 0 to 1, those of the real images begin at -1: it looks like [0, 1]; \
                         if it is, save 2 * x - 1"
                            .into(),
                    );
                }
            }
        }
        // Files may be ordered, for example by class.
        Ok(set.shuffled(self.embedding.seed))
    }

    /// Resizes images `[N, C, H, W]` to the size of the comparison, if it has one.
    pub(super) fn fitted(&self, samples: Tensor) -> Result<Tensor> {
        match &self.fit {
            Some(fitting) if samples.rank() == 4 => fitted(&samples, fitting),
            _ => Ok(samples),
        }
    }
}
