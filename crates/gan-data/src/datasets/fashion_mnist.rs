//! Fashion-MNIST: articles of clothing in MNIST's files.
//!
//! Source: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017,
//! arXiv:1708.07747. As many images as MNIST has, of the same size.

use super::{DatasetSpec, Info, NeedsFiles, OpenOptions, SampleSizes, mnist};
use crate::fetch::{Layout, Source};
use crate::{Dataset, Error, Split};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Fashion-MNIST, articles of clothing: images `[1, 28, 28]` in ten classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FashionMnist {
    /// The part; the training part by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl DatasetSpec for FashionMnist {
    const NAME: &'static str = "fashion-mnist";

    const INFO: Info = Info {
        holds: "clothing, grey, 28×28, 10 classes",
        files: NeedsFiles::Found { folder: Self::NAME, what: "four files *-ubyte or *-ubyte.gz" },
        sizes: SampleSizes::One,
        channels: 1,
        source: Some(Source {
            name: Self::NAME,
            repository: "zalando-datasets/fashion_mnist",
            layout: Layout::Idx,
            licence: "MIT, Zalando SE",
            by_hand: "put the four files *-ubyte.gz from https://github.com/zalandoresearch/fashion-mnist into data/fashion-mnist",
        }),
        ..Info::IMAGES
    };

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        let split = self.split.unwrap_or_default();
        options.fit(Arc::new(mnist::load::<Self>(options.dir.as_deref(), split, CLASSES)?))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// The classes' names, in the order of the labels.
const CLASSES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
