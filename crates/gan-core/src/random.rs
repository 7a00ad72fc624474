//! Tensors of random numbers.

use candle_core::{Device, Result, Shape, Tensor};
use gan_base::Rng;

/// Random tensors from [`Rng`]. The numbers are drawn on the host, so they are the same on every device.
pub trait RandomTensors {
    /// Returns a float32 tensor of numbers from U[low, high).
    fn uniform_tensor(&mut self, low: f32, high: f32, shape: impl Into<Shape>, device: &Device) -> Result<Tensor>;

    /// Returns a float32 tensor of numbers from N(mean, std²).
    fn normal_tensor(&mut self, mean: f32, std: f32, shape: impl Into<Shape>, device: &Device) -> Result<Tensor>;
}

impl RandomTensors for Rng {
    fn uniform_tensor(&mut self, low: f32, high: f32, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        tensor(shape.into(), device, || self.uniform(low, high))
    }

    fn normal_tensor(&mut self, mean: f32, std: f32, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        tensor(shape.into(), device, || mean + std * self.normal())
    }
}

fn tensor(shape: Shape, device: &Device, draw: impl FnMut() -> f32) -> Result<Tensor> {
    let values: Vec<f32> = std::iter::repeat_with(draw).take(shape.elem_count()).collect();
    Tensor::from_vec(values, shape, device)
}
