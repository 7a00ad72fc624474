//! `gan data fetch`: data sets from the Hugging Face Hub, converted to the files that the readers expect.
//!
//! Each data set has a [`Source`]; `hub`, with the feature of that name, fetches it by `gan_hub`.

#[cfg(feature = "hub")]
mod hub;

pub use crate::places::target;
#[cfg(feature = "hub")]
pub use hub::{Progress, fetch};

/// One data set on the Hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, also of its folder, as in `data.name`.
    pub name: &'static str,
    /// Its repository, `https://huggingface.co/datasets/REPOSITORY`.
    pub repository: &'static str,
    pub(crate) layout: Layout,
    /// Its licence or terms.
    pub licence: &'static str,
    /// How to get its files by hand.
    pub by_hand: &'static str,
}

/// The files that a data set is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Four gzipped IDX files, as [`crate::Mnist`] reads them.
    Idx,
    /// CIFAR-10's binary batches, as [`crate::Cifar10`] reads them.
    Cifar,
    /// CelebA's JPEG files in one folder, and its lists.
    Celeba,
}

/// How to get a data set that is missing: by `gan data fetch` where this build can download, and by hand.
pub(crate) fn advice(source: &Source) -> String {
    let Source { name, by_hand, .. } = source;
    if cfg!(feature = "hub") {
        format!("`gan data fetch {name}` gets it, or by hand: {by_hand}")
    } else {
        format!("to get it, {by_hand} (a build with the feature hub does that by `gan data fetch {name}`)")
    }
}
