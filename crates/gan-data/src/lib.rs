//! Data sets for GAN training: files in, seeded and prefetched batches out. Knows no model.
//!
//! Pixels come out as float32 in [−1, 1], laid out `[N, C, H, W]`. Which images make up batch number b depends on
//! the seed and b alone, so a run resumes at any batch and gives the same batches with any number of threads.
//!
//! Modules in reading order:
//! - [`dataset`]: the trait [`Dataset`], what every data set gives;
//! - [`idx`]: the file format of MNIST;
//! - [`folder`]: where data sets are looked for;
//! - [`file_kind`]: what a file holds, told from its first bytes;
//! - [`points`]: points on curves and around modes;
//! - [`mnist`]: MNIST and Fashion-MNIST, which shares its layout;
//! - [`stacked`]: three digits of MNIST as one colour image, a thousand classes;
//! - [`cifar`]: the binary batches of CIFAR-10;
//! - [`images`]: image files decoded and brought to the training size;
//! - [`image_folder`]: folders of image files;
//! - [`celeba`]: CelebA, a folder with lists beside it;
//! - [`resized`]: any set of images at another size;
//! - [`pack`]: a whole data set in one file, ready to train from;
//! - [`fewer`]: a part of any set;
//! - [`made`]: images made from a seed, for benches and tests;
//! - [`sampler`]: which images make batch number b;
//! - [`loader`]: batches, one after the other, made ahead of time by threads;
//! - [`fetch`]: data sets from the Hugging Face Hub, with the feature `hub`;
//! - [`npy`]: arrays in NumPy's format;
//! - [`error`]: what can go wrong.
//!
//! Within the loader, `batch` makes one batch, `share` is a process's part of it, `windows` is the order of very many images, and `workers` runs the threads.
//!
//! ```no_run
//! use gan_data::{Dataset, LastBatch, Loader, Mnist, MnistOptions, Order, Sampler, Sampling};
//! use std::sync::Arc;
//!
//! let data = Mnist::load(&MnistOptions::default())?;
//! let sampling = Sampling { len: data.len(), batch: 64, seed: 0, order: Order::Shuffled, last: LastBatch::Drop };
//! let mut loader = Loader::new(Arc::new(data), Sampler::new(sampling)?, 2)?;
//! let batch = loader.next_batch()?;
//! assert_eq!(batch.images.dims(), [64, 1, 28, 28]);
//! # Ok::<(), gan_data::Error>(())
//! ```

mod batch;
pub mod celeba;
pub mod cifar;
pub mod dataset;
pub mod error;
pub mod fetch;
pub mod fewer;
pub mod file_kind;
pub mod folder;
pub mod idx;
pub mod image_folder;
pub mod images;
pub mod loader;
pub mod made;
pub mod mnist;
pub mod npy;
pub mod pack;
pub mod points;
pub mod resized;
pub mod sampler;
mod share;
pub mod stacked;
mod windows;
mod workers;

pub use batch::Flip;
pub use celeba::{CelebA, CelebAOptions};
pub use cifar::{Cifar10, Cifar10Options};
pub use dataset::{Dataset, Skipped, Split};
pub use error::Error;
pub use fewer::Fewer;
pub use image_folder::ImageFolder;
pub use images::{Broken, Filter, Fit, Fitting, ImageOptions, Inventory, Small};
pub use loader::{Batch, Loader};
pub use made::MadeImages;
pub use mnist::{Family, Mnist, MnistOptions};
pub use pack::Pack;
pub use points::{Points, Units};
pub use resized::Resized;
pub use sampler::{LastBatch, Order, Position, Sampler, Sampling};
pub use share::Share;
pub use stacked::{StackedMnist, StackedOptions};
