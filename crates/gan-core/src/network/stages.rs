//! A network cut into stages, whose outputs between them are features: what perceptual distances compare.

use super::Network;
use super::run::Step;
use crate::error::Result;
use crate::forward_context::ForwardContext;
use crate::layers::Dual;
use crate::params::Role;
use candle_core::Tensor;
use gan_kernels::fused::Layout;
use std::ops::Range;

/// Stages of a network, each from one layer with a kernel to the next. The last layer with a kernel and everything after it is left out.
#[derive(Clone, Debug)]
pub struct Stages {
    network: Network,
    stages: Vec<(Range<usize>, Vec<Step>)>,
}

impl Network {
    /// Returns the stages of the network, which share its variables; none if it has fewer than two layers with kernels.
    ///
    /// # Errors
    /// From candle, if the layers of a stage cannot be planned.
    pub fn stages(&self) -> Result<Stages> {
        let is_kernel = |layer: &usize| self.placed[*layer].specs.iter().any(|spec| spec.role == Role::Weight);
        let kernels: Vec<usize> = (0..self.layers.len()).filter(is_kernel).collect();
        let starts = kernels.iter().enumerate().map(|(i, layer)| if i == 0 { 0 } else { *layer });
        let ranges = starts.zip(kernels.iter().skip(1)).map(|(start, end)| start..*end);
        let stages = ranges.map(|range| Ok((range.clone(), self.steps(range)?))).collect::<Result<_>>()?;
        Ok(Stages { network: self.clone(), stages })
    }
}

impl Stages {
    /// Returns the number of stages.
    pub fn count(&self) -> usize {
        self.stages.len()
    }

    /// Returns the output of the first stage for x `[N, input…]`, as [`Stages::forward`] does, without computing the others; x itself if there are
    /// no stages.
    pub fn first(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Tensor> {
        let first = Self { network: self.network.clone(), stages: self.stages.iter().take(1).cloned().collect() };
        Ok(first.forward(x, pass)?.pop().unwrap_or_else(|| x.clone()))
    }

    /// Returns the output of each stage for x `[N, input…]`, on the CPU in f32 with the channels last: `[N, H, W, C]` or `[N, D]`.
    pub fn forward(&self, x: &Tensor, pass: &mut ForwardContext) -> candle_core::Result<Vec<Tensor>> {
        let mut outputs: Vec<Tensor> = vec![];
        for (layers, steps) in &self.stages {
            let before = outputs.last().unwrap_or(x);
            outputs.push(if Network::can_fuse(x) {
                let from = if outputs.is_empty() { Layout::ChannelsFirst } else { Layout::ChannelsLast };
                self.network.run(steps, before, [from, Layout::ChannelsLast], pass)?
            } else {
                self.network.reference(layers.clone(), &Dual::constant(before.clone()), false, pass)?.value
            });
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;
    use crate::{Init, RandomTensors};
    use candle_core::{Device, Var};
    use gan_base::Rng;
    use gan_kernels::fused::Reuse;

    fn network(layers: &str) -> Network {
        let layers: Vec<Layer> = serde_json::from_str(layers).unwrap();
        Network::new("d", &[2, 8, 8], &layers, Init::He, Reuse::UntilChanged, &mut Rng::new(1), &Device::Cpu).unwrap()
    }

    #[test]
    fn stages_give_what_each_layer_with_a_kernel_takes() {
        let network = network(
            r#"[{"conv": 4, "kernel": 4, "stride": 2, "padding": 1}, {"leaky_relu": 0.2},
                {"conv": 6, "kernel": 4, "stride": 2, "padding": 1}, {"batch_norm": {}}, {"leaky_relu": 0.2}, "flatten", {"dense": 1}]"#,
        );
        let stages = network.stages().unwrap();
        let x = Var::from_tensor(&Rng::new(2).normal_tensor(0.0, 1.0, (3, 2, 8, 8), &Device::Cpu).unwrap()).unwrap();
        let outputs = stages.forward(x.as_tensor(), &mut ForwardContext::eval()).unwrap();
        assert_eq!(stages.count(), outputs.len());
        let first = outputs[0].permute((0, 3, 1, 2)).unwrap();
        let cut = network.clone().with_features_before(2).unwrap();
        let (_, expected) = cut.forward_with_features(x.as_tensor(), &mut ForwardContext::eval()).unwrap();
        let difference = (first - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "{difference}");
        let (_, expected) = network.forward_with_features(x.as_tensor(), &mut ForwardContext::eval()).unwrap();
        let last = outputs.last().unwrap().flatten_from(1).unwrap();
        assert_eq!(last.dims(), expected.flatten_from(1).unwrap().dims());
        // Gradients flow back to the images through all stages.
        let sum = last.sqr().unwrap().sum_all().unwrap();
        let grads = sum.backward().unwrap();
        assert!(grads.get(&x).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() > 0.0);
    }

    #[test]
    fn a_network_of_one_kernel_has_no_stages() {
        let network = network(r#"["flatten", {"dense": 1}]"#);
        assert_eq!(network.stages().unwrap().count(), 0);
    }
}
