//! Generators and discriminators: layers, architectures as data, losses, initialization, seeded noise, weight files.
//!
//! It works on tensors only: images `[N, C, H, W]`, points `[N, D]`, logits `[N]`. It reads no files but weights, and has no data sets and
//! no loop.
//!
//! In reading order: [`layers`] (a network is a list of these, one file each), [`shape`] (shape inference), [`family`] (functions that
//! return lists), [`params`] and [`init`], [`network`] (an allocated list) and [`forward_context`] (the context of a pass), [`gan`]
//! (generators and discriminators), [`noise`], [`loss`] and [`losses`], [`penalties`], [`augmentations`], [`weights`] (self-describing
//! files), [`summary`], [`random`] (tensors of random numbers), [`finite`] (checks for NaN and infinities).

pub mod augmentations;
pub mod error;
pub mod family;
pub mod finite;
pub mod forward_context;
mod from_fn;
pub mod gan;
pub mod init;
pub mod layers;
pub mod loss;
pub mod losses;
pub mod network;
pub mod noise;
pub mod params;
pub mod penalties;
pub mod random;
pub mod shape;
pub mod summary;
pub mod weights;

pub use augmentations::Augment;
pub use error::{Error, Result};
pub use forward_context::{Features, ForwardContext, Mode, Weights};
pub use from_fn::{FromFn, discriminator_fn, generator_fn};
pub use gan::{Discriminator, DiscriminatorOutput, Generator, LayeredDiscriminator, LayeredGenerator};
pub use init::Init;
pub use layers::Layer;
pub use loss::{Labels, Loss};
pub use network::Network;
pub use noise::{Distribution, Latent};
pub use params::{Param, Role};
pub use random::RandomTensors;
