//! What can be fetched: names, where on the Hub, under which licence, and where to get it without the Hub.

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
    /// Four gzipped IDX files, as [`crate::mnist`] reads them.
    Idx,
    /// CIFAR-10's binary batches, as [`crate::cifar`] reads them.
    Cifar,
    /// CelebA's JPEG files in one folder, and its list of attributes.
    Celeba,
}

/// Everything that can be fetched.
pub const SOURCES: [Source; 4] = [
    Source {
        name: "mnist",
        repository: "ylecun/mnist",
        layout: Layout::Idx,
        licence: "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        by_hand: "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz from \
                  https://ossci-datasets.s3.amazonaws.com/mnist/ into data/mnist",
    },
    Source {
        name: "fashion-mnist",
        repository: "zalando-datasets/fashion_mnist",
        layout: Layout::Idx,
        licence: "MIT, Zalando SE",
        by_hand: "put the four files *-ubyte.gz from https://github.com/zalandoresearch/fashion-mnist into data/fashion-mnist",
    },
    Source {
        name: "cifar10",
        repository: "uoft-cs/cifar10",
        layout: Layout::Cifar,
        licence: "none stated; cite Krizhevsky 2009",
        by_hand: "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz in data/cifar10",
    },
    Source {
        name: "celeba",
        repository: "flwrlabs/celeba",
        layout: Layout::Celeba,
        licence: "CelebA agreement: non-commercial research only, no passing on; see http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        by_hand: "unpack img_align_celeba.zip from http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html in data/celeba, with \
                  list_attr_celeba.txt beside the folder img_align_celeba",
    },
];

/// How to get a data set that is missing: by `gan data fetch` where this build can download, and by hand.
pub(crate) fn advice(source: &Source) -> String {
    let Source { name, by_hand, .. } = source;
    match cfg!(feature = "hub") {
        true => format!("`gan data fetch {name}` gets it, or by hand: {by_hand}"),
        false => format!("to get it, {by_hand} (a build with the feature hub does that by `gan data fetch {name}`)"),
    }
}

/// The data set called `name`.
pub fn source(name: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.name == name)
}
