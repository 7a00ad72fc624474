//! Inception's layers with weights: batch norm is folded into the convolutions, and consecutive convolutions are one operation.

use super::table::{self, Conv, Node, Pool, SIDE, Step};
use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use gan_kernels::fused::{self, Activation, FusedLayer, FusedSequential, Layout, Reuse, Run, Statistics, Weights};
use gan_kernels::{ConvSpec, Padding, Precision};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Added to batch norm's variance.
const EPS: f64 = 1e-3;

/// A part of a block.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Consecutive convolutions, and their weights.
    Convs(Arc<FusedSequential>, Tensor),
    Pool(Pool),
    Fork(Vec<Vec<Stage>>),
}

/// Channels, height and width.
type Shape = [usize; 3];

/// Returns the tensor with this name and shape.
type Source<'a> = dyn FnMut(&str, &[usize]) -> Result<Tensor> + 'a;

/// Builds the blocks of the table with the tensors of `source`.
pub(super) fn build(source: &mut Source) -> Result<Vec<Vec<Stage>>> {
    let mut shape = [3, SIDE, SIDE];
    table::blocks().into_iter().map(|(name, nodes)| stages(name, &nodes, &mut shape, source)).collect()
}

/// Builds a block or a branch of it; `shape` is that of its input, and then that of its output.
fn stages(block: &str, nodes: &[Node], shape: &mut Shape, source: &mut Source) -> Result<Vec<Stage>> {
    let mut all = vec![];
    for nodes in nodes.chunk_by(|a, b| matches!((a, b), (Node::Conv(_), Node::Conv(_)))) {
        all.push(match &nodes[0] {
            Node::Conv(_) => convs(block, nodes, shape, source)?,
            Node::Pool(pool) => {
                *shape = [shape[0], pool.side(shape[1]), pool.side(shape[2])];
                Stage::Pool(*pool)
            }
            Node::Fork(branches) => {
                let mut ends = vec![*shape; branches.len()];
                let built = branches.iter().zip(&mut ends).map(|(branch, end)| stages(block, branch, end, source));
                let built = built.collect::<Result<_>>()?;
                *shape = [ends.iter().map(|end| end[0]).sum(), ends[0][1], ends[0][2]];
                Stage::Fork(built)
            }
        });
    }
    Ok(all)
}

/// Builds consecutive convolutions as one operation over their folded weights.
fn convs(block: &str, nodes: &[Node], shape: &mut Shape, source: &mut Source) -> Result<Stage> {
    let input = *shape;
    let mut flat = Vec::<f32>::new();
    let mut layers = vec![];
    for node in nodes {
        let Node::Conv(conv) = node else { continue };
        let [kernel, bias] = folded(block, conv, shape[0], source)?;
        let weight = flat.len();
        flat.extend(kernel);
        let weights = Weights { weight, bias: Some(flat.len()) };
        flat.extend(bias);
        let [h, w] = conv.kernel;
        let (stride, padding) = match conv.step {
            Step::Same => (1, Padding { top: h / 2, bottom: h / 2, left: w / 2, right: w / 2 }),
            Step::Inside => (1, Padding::default()),
            Step::Halve => (2, Padding::default()),
        };
        let side = |input: usize, padding: usize, kernel: usize| (input + padding - kernel) / stride + 1;
        *shape = [
            conv.outputs,
            side(shape[1], padding.top + padding.bottom, h),
            side(shape[2], padding.left + padding.right, w),
        ];
        let spec = ConvSpec { stride: [stride; 2], padding, ..ConvSpec::default() };
        let Conv { outputs, kernel, .. } = *conv;
        layers.push(FusedLayer::Conv(fused::Conv { weights, outputs, groups: 1, kernel, spec, transposed: None }));
        layers.push(FusedLayer::Activation(Activation::LeakyRelu(0.0)));
    }
    let count = flat.len();
    let network = FusedSequential::new(&input, layers, Precision::F32, Reuse::UntilChanged)?;
    Ok(Stage::Convs(Arc::new(network), Tensor::from_vec(flat, count, &Device::Cpu)?))
}

/// Returns kernel and bias with batch norm folded in: w·γ/√(v + ε) and β − m·γ/√(v + ε).
fn folded(block: &str, conv: &Conv, channels: usize, source: &mut Source) -> Result<[Vec<f32>; 2]> {
    let name = if conv.name.is_empty() { block.to_string() } else { format!("{block}.{}", conv.name) };
    let [h, w] = conv.kernel;
    let mut get = |part: &str, shape: &[usize]| -> Result<Vec<f64>> {
        Ok(source(&format!("{name}.{part}"), shape)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    };
    let weight = get("conv.weight", &[conv.outputs, channels, h, w])?;
    let mut of_norm = |part: &str| get(part, &[conv.outputs]);
    let scale = of_norm("bn.weight")?;
    let shift = of_norm("bn.bias")?;
    let mean = of_norm("bn.running_mean")?;
    let variance = of_norm("bn.running_var")?;
    let factors: Vec<f64> = scale.iter().zip(&variance).map(|(scale, v)| scale / (v + EPS).sqrt()).collect();
    let rows = weight.chunks_exact(weight.len() / conv.outputs).zip(&factors);
    let kernel = rows.flat_map(|(row, factor)| row.iter().map(move |w| (w * factor) as f32)).collect();
    let bias = (0..conv.outputs).map(|i| (shift[i] - mean[i] * factors[i]) as f32).collect();
    Ok([kernel, bias])
}

/// Computes x `[N, H, W, C]` -> `[N, H', W', C']`.
pub(super) fn run(stages: &[Stage], x: &Tensor) -> candle_core::Result<Tensor> {
    stages.iter().try_fold(x.clone(), |x, stage| match stage {
        Stage::Convs(network, weights) => {
            let [from, to] = [Layout::ChannelsLast; 2];
            let run = Run { statistics: Statistics::Given(&[]), noise: vec![], classes: None, from, to };
            Ok(network.apply(&x, weights, run)?.0)
        }
        Stage::Pool(pool) => pool.run(&x),
        Stage::Fork(branches) => {
            let ends = branches.iter().map(|branch| run(branch, &x)).collect::<candle_core::Result<Vec<_>>>()?;
            Tensor::cat(&ends, 3)?.contiguous()
        }
    })
}

/// 3×3 windows over channels-last images; pixels outside of the image do not count.
impl Pool {
    /// Returns a side of the output.
    fn side(self, input: usize) -> usize {
        if self == Self::MaxHalve { (input - 3) / 2 + 1 } else { input }
    }

    /// Returns the inputs of output `at` along one side.
    fn window(self, at: usize, side: usize) -> Range<usize> {
        match self {
            Self::MaxHalve => 2 * at..2 * at + 3,
            Self::MaxSame | Self::MeanSame => at.saturating_sub(1)..(at + 2).min(side),
        }
    }

    /// Computes x `[N, H, W, C]` -> `[N, H', W', C]`, f32 on the CPU.
    fn run(self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let [oh, ow] = [self.side(h), self.side(w)];
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let mut out = vec![0.0; n * oh * ow * c];
        out.par_chunks_exact_mut(ow * c).enumerate().for_each(|(row, out)| {
            let image = &values[row / oh * h * w * c..][..h * w * c];
            let rows = self.window(row % oh, h);
            for (at, out) in out.chunks_exact_mut(c).enumerate() {
                self.pixel(image, w, rows.clone(), self.window(at, w), out);
            }
        });
        Tensor::from_vec(out, (n, oh, ow, c), &Device::Cpu)
    }

    /// Computes every channel of one output pixel.
    fn pixel(self, image: &[f32], width: usize, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        let c = out.len();
        let count = (rows.len() * columns.len()) as f32;
        let places = rows.flat_map(|y| columns.clone().map(move |x| y * width + x));
        let mut pixels = places.map(|place| &image[place * c..][..c]);
        if let Some(first) = pixels.next() {
            out.copy_from_slice(first);
        }
        if self == Self::MeanSame {
            pixels.for_each(|pixel| out.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value));
            out.iter_mut().for_each(|sum| *sum /= count);
        } else {
            pixels.for_each(|pixel| out.iter_mut().zip(pixel).for_each(|(most, value)| *most = most.max(*value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pool: Pool) -> Vec<f32> {
        // Two channels, the second the first's negative: 0 … 8 in rows of three.
        let values: Vec<f32> = (0..9).flat_map(|i| [i as f32, -(i as f32)]).collect();
        let x = Tensor::from_vec(values, (1, 3, 3, 2), &Device::Cpu).unwrap();
        pool.run(&x).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn average_pooling_excludes_padding_at_edges() {
        let mean = run(Pool::MeanSame);
        // (0 + 1 + 3 + 4) / 4, (0 + … + 5) / 6, and the whole image's mean in the middle.
        assert_eq!((mean[0], mean[2], mean[8], mean[9]), (2.0, 2.5, 4.0, -4.0));
        let most = run(Pool::MaxSame);
        assert_eq!((most[0], most[1], most[8], most[9], most[17]), (4.0, 0.0, 8.0, 0.0, -4.0));
    }

    #[test]
    fn halving_stays_inside() {
        assert_eq!(run(Pool::MaxHalve), [8.0, 0.0]);
        assert_eq!([147, 71, 35, 17].map(|side| Pool::MaxHalve.side(side)), [73, 35, 17, 8]);
    }
}
