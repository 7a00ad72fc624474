//! Data sets for GAN training: files in, seeded and prefetched batches out. Knows no model.
//!
//! Pixels are float32 in [−1, 1], laid out `[N, C, H, W]`. The images of batch number b depend only on the seed and b, so a run can resume
//! at any batch and gets the same batches with any number of threads.
//!
//! Modules in reading order:
//! - `dataset`: the trait [`Dataset`];
//! - `datasets`: the data sets, one file each ([`DatasetSpec`]), and their list ([`DATASETS`]);
//! - [`idx`]: the file format of MNIST;
//! - `places`: the folders in which data sets are searched for;
//! - `file_kind`: the kind of a file, according to its first bytes;
//! - `positioned`: reading at an offset;
//! - `zip`: archives, whose files are read in place;
//! - `points`: data sets of points;
//! - [`images`]: image files, decoded and brought to the training size;
//! - `resized`: any set of images at another size;
//! - [`pack`]: a whole data set in one file, ready to train from;
//! - `subset`: a part of any set;
//! - `sampler`: the images of batch number b;
//! - `collator`: how one batch is made, or one process's part of it;
//! - `ordered`: threads that make numbered things ahead of time, such as batches;
//! - `loader`: batches, one after the other;
//! - [`fetch`]: data sets from the Hugging Face Hub, with the feature `hub`;
//! - [`npy`]: arrays in NumPy's format;
//! - `error`: everything that can go wrong.
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
mod ordered;
pub mod pack;
mod places;
mod points;
mod positioned;
mod resized;
mod sampler;
mod subset;
mod zip;

pub use collator::{Batch, ProcessShard};
pub use dataset::{Dataset, Skipped, Split};
pub use datasets::*;
pub use error::Error;
pub use images::files::ImageFolder;
pub use loader::Loader;
pub use points::{PointDistribution, PointModes, Units};
pub use sampler::{LastBatch, Order, Position, Sampler, Sampling};
pub use subset::Subset;

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
