//! Images in memory, one byte a value, each of one of ten classes: MNIST's training images take 47 MB, CIFAR-10's 154 MB.

use crate::Error;
use crate::dataset::{Dataset, scale_all};
use std::path::Path;

#[derive(Clone, Debug)]
pub(super) struct ByteImages {
    /// `[C, H, W]` of an image.
    pub shape: [usize; 3],
    /// `[N, C, H, W]`
    pub images: Vec<u8>,
    /// `[N]`
    pub labels: Vec<u8>,
    /// Ten names, in the order of the labels.
    pub classes: Vec<String>,
}

impl Dataset for ByteImages {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.to_vec()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        scale_all(&self.images[index * out.len()..][..out.len()], out);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.labels.get(index).map(|&label| label.into())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// Checks that the labels in the file at `path` are those of ten classes.
pub(super) fn check_labels(path: &Path, labels: impl IntoIterator<Item = u8>, advice: &str) -> Result<(), Error> {
    match labels.into_iter().enumerate().find(|(_, label)| *label >= 10) {
        None => Ok(()),
        Some((at, label)) => {
            Err(Error::file(path, "no such class", format!("label {label} for image {at}"), "0 to 9", advice))
        }
    }
}
