//! The trait [`Dataset`]: numbered samples, already scaled, perhaps with classes.

use crate::images::{Inventory, Pixels};
use crate::{Error, Units};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The images to train on.
    #[default]
    Train,
    /// The images held out for evaluation.
    Test,
    /// The images to choose settings by (CelebA only).
    Valid,
    /// All of CelebA.
    All,
}

/// A file that is left out of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The reason, as text.
    pub reason: String,
}

/// A numbered set of samples of one shape. The loader's threads share it, so reading never changes it.
///
/// A set of your own needs [`len`](Dataset::len), [`shape`](Dataset::shape) and [`write`](Dataset::write):
///
/// ```
/// use gan_data::{Dataset, Error, Loader};
/// use std::sync::Arc;
///
/// /// A thousand grey ramps of 8×8, each as bright as its number says.
/// struct Ramps;
///
/// impl Dataset for Ramps {
///     fn len(&self) -> usize {
///         1000
///     }
///     fn shape(&self) -> Vec<usize> {
///         vec![1, 8, 8]
///     }
///     fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
///         self.check(index, out.len())?;
///         (0..64).zip(out).for_each(|(i, value)| *value = (i as f32 / 63.0 * index as f32 / 999.0) * 2.0 - 1.0);
///         Ok(())
///     }
/// }
///
/// let mut loader = Loader::shuffled(Arc::new(Ramps), 64, 0)?;
/// assert_eq!(loader.next_batch()?.images.dims(), [64, 1, 8, 8]);
/// # Ok::<(), Error>(())
/// ```
pub trait Dataset: Send + Sync {
    /// How many images there are.
    fn len(&self) -> usize;

    /// The shape of one sample: `[C, H, W]` for an image, `[D]` for a point.
    fn shape(&self) -> Vec<usize>;

    /// Writes image `index` into `out`: C·H·W values in [−1, 1], channel by channel, row by row.
    ///
    /// # Errors
    /// [`Error::Request`] if `index` is not below [`len`](Dataset::len) or `out` is not C·H·W long; whatever
    /// reading the image brings.
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error>;

    /// The class of image `index`: an index into [`classes`](Dataset::classes). `None` if the set has no classes
    /// or no such image. Either every image has a class or no image has one.
    fn label(&self, _: usize) -> Option<u32> {
        None
    }

    /// The classes' names; empty if the set has none.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// Like [`write`](Dataset::write), with the same errors, but if the image's own file cannot be read, no other image takes its place: the
    /// file is returned, and the content of `out` is unspecified.
    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.write(index, out).map(|()| None)
    }

    /// What was found beside the images, for sets of image files.
    fn inventory(&self) -> Option<&Inventory> {
        None
    }

    /// The files that were left out when the set was opened because they cannot be read.
    fn skipped(&self) -> &[Skipped] {
        self.inventory().map_or(&[], |inventory| &inventory.skipped)
    }

    /// Height and width of image `index` as its file holds it, with `data.crop` cut out but not resized. `None` for sets whose images
    /// are all stored in one size, for points, and where there is no such image.
    fn stored_size(&self, _: usize) -> Option<[usize; 2]> {
        None
    }

    /// Image `index` in its [`stored_size`](Dataset::stored_size). `None` if there is no such image, or if the file turns out to be
    /// damaged and such files are left out.
    ///
    /// # Errors
    /// [`Error::File`] if a file is damaged and damaged files are refused.
    fn stored(&self, _: usize) -> Result<Option<Pixels>, Error> {
        Ok(None)
    }

    /// For points: the values that −1 and 1 stand for, by coordinate. Images have none.
    fn units(&self) -> Option<&Units> {
        None
    }

    /// A checksum by which a run recognises its data, for sets that can compute one without decoding samples: image files use their
    /// names, sizes, classes and first bytes.
    fn checksum(&self) -> Option<u32> {
        None
    }

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values one sample has: C·H·W or D.
    fn pixels(&self) -> usize {
        self.shape().iter().product()
    }

    /// Checks a request for image `index` into a buffer of `room` values: the first line of every
    /// [`write`](Dataset::write).
    ///
    /// # Errors
    /// [`Error::Request`] if the image does not exist or the buffer has another size.
    fn check(&self, index: usize, room: usize) -> Result<(), Error> {
        let values = self.pixels();
        let problem = if index >= self.len() {
            format!("no such image: found {index}, expected a number below {}", self.len())
        } else if room != values {
            let shape = self.shape();
            format!("buffer of the wrong size: found {room}, expected {values} values for a sample of {shape:?}")
        } else {
            return Ok(());
        };
        Err(Error::Request(format!("image {index}: {problem}; this is a mistake in the calling code")))
    }
}

/// A byte as a pixel in [−1, 1]: (x − 127.5) / 127.5. 0 becomes exactly −1 and 255 exactly 1.
#[inline]
pub(crate) fn scale(byte: u8) -> f32 {
    (f32::from(byte) - 127.5) / 127.5
}

/// Writes a sample of which each value is a byte.
pub(crate) fn scale_all(bytes: &[u8], out: &mut [f32]) {
    out.iter_mut().zip(bytes).for_each(|(value, byte)| *value = scale(*byte));
}

/// The byte from which [`scale`] made `value`: round((v + 1) · 127.5).
pub(crate) fn unscale(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_ends_at_exactly_minus_one_and_one() {
        assert_eq!(scale(0).to_bits(), (-1.0f32).to_bits());
        assert_eq!(scale(255).to_bits(), 1.0f32.to_bits());
        assert_eq!(scale(51).to_bits(), (-0.6f32).to_bits());
        assert!((0..255u8).all(|x| scale(x) < scale(x + 1) && scale(x) == -scale(255 - x)));
    }
}
