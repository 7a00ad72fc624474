//! Where a data set can be fetched from: its place on the Hub, its licence, and how to get it without the Hub.

/// One data set on the Hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name here: that of its folder and of `data.name`.
    pub name: &'static str,
    /// Its repository, `https://huggingface.co/datasets/REPOSITORY`.
    pub repository: &'static str,
    /// How its files are laid out here.
    pub layout: Layout,
    /// Under which terms it is given.
    pub licence: &'static str,
    /// How to get its files by hand.
    pub by_hand: &'static str,
}

/// Which reader's files a data set is turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Four gzipped IDX files, as [`crate::Mnist`] reads them.
    Idx,
    /// CIFAR-10's binary batches, as [`crate::Cifar10`] reads them.
    Cifar,
    /// CelebA's JPEG files in one folder, and its list of attributes.
    Celeba,
}

/// How to get a data set that is missing: by `gan data fetch` where this build can download, and by hand.
pub(crate) fn advice(source: &Source) -> String {
    let Source { name, by_hand, .. } = source;
    match cfg!(feature = "hub") {
        true => format!("`gan data fetch {name}` gets it, or by hand: {by_hand}"),
        false => format!("to get it, {by_hand} (a build with the feature hub does that by `gan data fetch {name}`)"),
    }
}
