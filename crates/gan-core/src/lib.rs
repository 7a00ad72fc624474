//! Generators and discriminators: layers, architectures as data, losses, initialisation, seeded noise, weight files.
//!
//! Tensors in, tensors out: images `[N, C, H, W]`, points `[N, D]`, logits `[N]`. No files but weights, no data sets, no loop.
//!
//! In reading order: [`layer`] (a network is a list of these), [`shape`] (does the list fit together?), [`family`] (functions
//! that return lists), [`params`] and [`init`], [`network`] (the list made real), [`gan`] (the two players), [`noise`],
//! [`loss`] and [`losses`], [`penalty`], [`augmentations`], [`weights`] (self-describing files), [`memory`] (what surely does not fit), [`summary`], [`rng`] (every random number comes from here), [`finite`] (are they
//! numbers at all?), [`wording`] (words for messages).

pub mod augmentations;
pub mod error;
pub mod family;
pub mod finite;
pub mod gan;
pub mod init;
pub mod layer;
pub mod loss;
pub mod losses;
pub mod network;
pub mod noise;
pub mod params;
pub mod penalty;
pub mod random;
pub mod shape;
pub mod summary;
pub mod weights;

pub use augmentations::Augment;
pub use error::{Error, Result};
pub use gan::{Discriminator, Generator, LayeredDiscriminator, LayeredGenerator, Verdict};
pub use init::Init;
pub use layer::Layer;
pub use loss::{Labels, Loss};
pub use network::{Features, Mode, Network, Pass, Weights};
pub use noise::{Distribution, Latent};
pub use params::{Param, Role};
pub use penalty::Penalty;
pub use random::RandomTensors;
