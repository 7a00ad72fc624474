//! Data sets for GAN training: files in, seeded and prefetched batches out. Knows no model.
//!
//! Pixels come out as float32 in [−1, 1], laid out `[N, C, H, W]`. Which images make up batch number b depends on
//! the seed and b alone, so a run resumes at any batch and gives the same batches with any number of threads.
//!
//! Modules in reading order:
//! - `dataset`: the trait [`Dataset`], what every data set gives;
//! - `datasets`: the data sets, one file each ([`DatasetSpec`]), and the list of them ([`DATASETS`]);
//! - [`idx`]: the file format of MNIST;
//! - [`places`]: where data sets are looked for;
//! - `file_kind`: what a file holds, according to its first bytes;
//! - `points`: what the sets of points have in common;
//! - [`images`]: image files decoded and brought to the training size;
//! - `resized`: any set of images at another size;
//! - [`pack`]: a whole data set in one file, ready to train from;
//! - `subset`: a part of any set;
//! - `sampler`: which images make batch number b;
//! - `loader`: batches, one after the other, made ahead of time by threads;
//! - [`fetch`]: data sets from the Hugging Face Hub, with the feature `hub`;
//! - [`npy`]: arrays in NumPy's format;
//! - `error`: what can go wrong.
//!
//! Within the loader, `collator` makes one batch, `process_shard` is a process's part of it, `windowed_shuffle` is the order of very
//! many images, and `workers` runs the threads.
//!
//! ```no_run
//! use gan_data::{DatasetSpec, Loader, Mnist, OpenOptions};
//!
//! let data = Mnist::default().open(&OpenOptions::default())?;
//! let mut loader = Loader::shuffled(data, 64, 0)?;
//! let batch = loader.next_batch()?;
//! assert_eq!(batch.images.dims(), [64, 1, 28, 28]);
//! # Ok::<(), gan_data::Error>(())
//! ```

mod collator;
mod dataset;
mod datasets;
mod error;
pub mod fetch;
mod file_kind;
pub mod idx;
pub mod images;
mod loader;
pub mod npy;
pub mod pack;
pub mod places;
mod points;
mod process_shard;
mod resized;
mod sampler;
mod subset;
mod windowed_shuffle;
mod workers;

pub use collator::{Batch, Flip};
pub use dataset::{Dataset, Skipped, Split};
pub use datasets::keys;
pub use datasets::{
    CelebA, CelebAImages, Cifar10, Classifier, Curve, Curves, DATASETS, DatasetConfig, DatasetEntry, DatasetSpec,
    FashionMnist, Folder, Function, Grid, GridModes, ImageFolder, Info, Mnist, NeedsFiles, OpenOptions, Parametric,
    Ring, RingModes, SampleSizes, StackedMnist, Synthetic, SyntheticSamples,
};
pub use error::Error;
pub use loader::Loader;
pub use points::{PointDistribution, PointModes, Points, Units};
pub use process_shard::ProcessShard;
pub use resized::Resized;
pub use sampler::{LastBatch, Order, Position, Sampler, Sampling};
pub use subset::Subset;
