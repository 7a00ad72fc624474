//! Data sets for GAN training: files in, seeded and prefetched batches out. Knows no model.
//!
//! Pixels come out as float32 in [−1, 1], laid out `[N, C, H, W]`. Which images make up batch number b depends on
//! the seed and b alone, so a run resumes at any batch and gives the same batches with any number of threads.
//!
//! Modules in reading order:
//! - [`dataset`]: the trait [`Dataset`], what every data set gives;
//! - [`idx`]: the file format of MNIST;
//! - [`folder`]: where data sets are looked for;
//! - [`mnist`]: MNIST and what shares its layout;
//! - [`points`]: points on curves and around modes;
//! - [`made`]: images made from a seed, for benches and tests;
//! - [`sampler`]: which images make batch number b;
//! - [`loader`]: batches, one after the other, made ahead of time by threads;
//! - [`error`]: what can go wrong.
//!
//! Within the loader, `batch` makes one batch and `workers` runs the threads.
//!
//! ```no_run
//! use gan_data::{LastBatch, Loader, Mnist, MnistOptions, Order, Sampler, Sampling, Split, Dataset};
//! use std::sync::Arc;
//!
//! let data = Mnist::load(&MnistOptions { dir: None, split: Split::Train, size: None })?;
//! let sampling = Sampling { len: data.len(), batch: 64, seed: 0, order: Order::Shuffled, last: LastBatch::Drop };
//! let mut loader = Loader::new(Arc::new(data), Sampler::new(sampling)?, 2)?;
//! let batch = loader.next_batch()?;
//! assert_eq!(batch.images.dims(), [64, 1, 28, 28]);
//! # Ok::<(), gan_data::Error>(())
//! ```

mod batch;
pub mod dataset;
pub mod error;
pub mod folder;
pub mod idx;
pub mod loader;
pub mod made;
pub mod mnist;
pub mod points;
pub mod sampler;
mod workers;

pub use dataset::Dataset;
pub use error::Error;
pub use loader::{Batch, Loader};
pub use made::MadeImages;
pub use mnist::{Mnist, MnistOptions, Split};
pub use points::{Points, Units};
pub use sampler::{LastBatch, Order, Position, Sampler, Sampling};
