//! Generators and discriminators: layers, architectures as data, losses, initialization, seeded noise, weight files.
//!
//! It works on tensors only: images `[N, C, H, W]`, points `[N, D]`, logits `[N]`. It reads no files but weights, and has no data sets and
//! no loop. Functions without a section "Errors" fail only where candle does.
//!
//! In reading order: [`layers`] (a network is a list of these, one file each), [`shape`] (shape inference), [`family`] (functions that
//! return lists), `params` and `init`, `network` (an allocated list) and `forward_context` (the context of a pass), `gan` (generators and
//! discriminators), `noise` (the latent space), `quantile` and `latent_loop` (truncation and closed paths in it), `losses`, [`penalties`],
//! `augmentations`, [`weights`] (self-describing files), [`summary`], [`graph`] and [`pytorch`] (networks for exports), `random` (tensors of random numbers), `pixels` (samples as bytes).

mod augmentations;
mod error;
pub mod family;
mod forward_context;
mod from_fn;
mod gan;
pub mod graph;
mod init;
mod latent_loop;
pub mod layers;
mod losses;
mod network;
mod noise;
mod params;
pub mod penalties;
mod pixels;
pub mod pytorch;
mod quantile;
mod random;
pub mod shape;
pub mod summary;
pub mod weights;

pub use augmentations::Augment;
pub use candle_core;
pub use error::{Error, Result, check_finite, strip_backtrace};
pub use forward_context::{ForwardContext, Mode, Weights};
pub use from_fn::{discriminator_fn, generator_fn};
pub use gan::{Discriminator, DiscriminatorOutput, Generator, LayeredDiscriminator, LayeredGenerator};
pub use gan::{classes_in_turn, draw_classes, samples, samples_at_once};
pub use gan_base::Rng;
pub use gan_kernels::fused::Linearized;
pub use init::Init;
pub use layers::layer::Layer;
pub use losses::{Labels, Loss, LossFunction, LossProperties, Side, auxiliary_loss};
pub use network::{Network, Portable, RunningNorm, SpectralKernel, Stages};
pub use noise::{Distribution, Latent, slerp};
pub use params::{Param, Role};
pub use pixels::pixels;
pub use random::RandomTensors;
