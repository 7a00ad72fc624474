//! Candle operations of the reference engine and for your own networks: `[N, C, H, W]` images, `[N, F]` vectors.
//!
//! They run on any device, and in f64 for gradient checks. If candle's own gradients are wrong or missing (convolutions whose windows do
//! not divide the image, pooling with ties, nearest upsampling), these are correct. Convolutions of f32 on the CPU use this crate's
//! kernels.

mod activation;
mod conv;
mod conv_composed;
mod dropout;
mod linear;
mod pool;
mod ranks;
mod resample;

pub use activation::{leaky_relu, relu, sigmoid, slopes, softplus, tanh};
pub use conv::{conv_transpose2d, conv2d};
pub use dropout::dropout;
pub use linear::linear;
pub use pool::{avg_pool2d, global_avg_pool2d, global_max_pool2d};
pub use ranks::{BatchStatistics, sum_over_ranks};
pub use resample::{upsample_nearest2d, zero_pad2d};
