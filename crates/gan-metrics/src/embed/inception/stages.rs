//! The table made real: weights checked against it, batch norm folded into the convolutions, convolutions in a row as one
//! operation.

use super::table::{self, Conv, Node, Pool, Step};
use candle_core::{DType, Device, Tensor};
use gan_kernels::fused::{self, Activation, FusedLayer, FusedSequential, Layout, Reuse, Run, Statistics, Weights};
use gan_kernels::{ConvSpec, Padding, Precision};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Added to batch norm's variance.
const EPS: f64 = 1e-3;

/// A tensor's name and the shape that it has to have.
pub type Wanted = (String, Vec<usize>);

/// A block that runs.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its name in the table.
    pub name: &'static str,
    stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Convolutions in a row, and their weights.
    Convs(Arc<FusedSequential>, Tensor),
    Pool(Pool),
    Fork(Vec<Vec<Stage>>),
}

/// Channels, height and width.
type Shape = [usize; 3];

/// The tensors that the table's convolutions need, in order.
pub fn wanted() -> Vec<Wanted> {
    let mut all = vec![];
    let mut shape = [3, table::SIDE, table::SIDE];
    for (name, nodes) in table::blocks() {
        shape = walk(&nodes, shape, &mut |conv, [channels, ..]| {
            let name = full(name, conv);
            let [kh, kw] = conv.kernel;
            all.push((format!("{name}.conv.weight"), vec![conv.outputs, channels, kh, kw]));
            let norm = ["weight", "bias", "running_mean", "running_var"];
            all.extend(norm.map(|part| (format!("{name}.bn.{part}"), vec![conv.outputs])));
        });
    }
    all
}

/// Visits every convolution with the shape that reaches it; returns the shape at the end.
fn walk(nodes: &[Node], mut shape: Shape, visit: &mut dyn FnMut(&Conv, Shape)) -> Shape {
    for node in nodes {
        if let Node::Fork(branches) = node {
            for branch in branches {
                walk(branch, shape, visit);
            }
        }
        if let Node::Conv(conv) = node {
            visit(conv, shape);
        }
        shape = after(node, shape);
    }
    shape
}

/// The shape after one node.
fn after(node: &Node, [channels, h, w]: Shape) -> Shape {
    match node {
        Node::Conv(conv) => {
            let side = |input: usize, kernel: usize| match conv.step {
                Step::Same => input,
                Step::Inside => input - kernel + 1,
                Step::Halve => (input - kernel) / 2 + 1,
            };
            [conv.outputs, side(h, conv.kernel[0]), side(w, conv.kernel[1])]
        }
        Node::Pool(pool) => [channels, pool.side(h), pool.side(w)],
        Node::Fork(branches) => {
            let ends: Vec<Shape> =
                branches.iter().map(|nodes| nodes.iter().fold([channels, h, w], |s, n| after(n, s))).collect();
            [ends.iter().map(|end| end[0]).sum(), ends[0][1], ends[0][2]]
        }
    }
}

fn full(block: &str, conv: &Conv) -> String {
    if conv.name.is_empty() { block.into() } else { format!("{block}.{}", conv.name) }
}

/// The table's blocks with these tensors, which must be all that [`wanted`] names, in its shapes.
///
/// # Errors
/// From candle.
pub fn build(tensors: &BTreeMap<String, Tensor>) -> candle_core::Result<Vec<Block>> {
    let mut shape = [3, table::SIDE, table::SIDE];
    let mut blocks = vec![];
    for (name, nodes) in table::blocks() {
        let maker = Maker { block: name, tensors };
        blocks.push(Block { name, stages: maker.stages(&nodes, shape)? });
        shape = nodes.iter().fold(shape, |shape, node| after(node, shape));
    }
    Ok(blocks)
}

struct Maker<'a> {
    block: &'static str,
    tensors: &'a BTreeMap<String, Tensor>,
}

impl Maker<'_> {
    fn stages(&self, nodes: &[Node], mut shape: Shape) -> candle_core::Result<Vec<Stage>> {
        let mut stages = vec![];
        let mut rest = nodes;
        while let Some(node) = rest.first() {
            let convs = rest.iter().map_while(|node| if let Node::Conv(conv) = node { Some(*conv) } else { None });
            let convs: Vec<Conv> = convs.collect();
            let taken = convs.len().max(1);
            stages.push(match node {
                Node::Conv(_) => self.convs(&convs, shape)?,
                Node::Pool(pool) => Stage::Pool(*pool),
                Node::Fork(branches) => {
                    let made = branches.iter().map(|branch| self.stages(branch, shape));
                    Stage::Fork(made.collect::<candle_core::Result<_>>()?)
                }
            });
            shape = rest[..taken].iter().fold(shape, |shape, node| after(node, shape));
            rest = &rest[taken..];
        }
        Ok(stages)
    }

    /// Convolutions in a row as one operation over their folded weights.
    fn convs(&self, convs: &[Conv], input: Shape) -> candle_core::Result<Stage> {
        let (mut theta, mut layers) = (Vec::<f32>::new(), vec![]);
        for conv in convs {
            let [kernel, bias] = self.folded(conv)?;
            let weight = theta.len();
            theta.extend(kernel);
            let weights = Weights { weight, bias: Some(theta.len()) };
            theta.extend(bias);
            layers.push(FusedLayer::Conv(fused::Conv {
                weights,
                outputs: conv.outputs,
                kernel: conv.kernel,
                spec: spec(conv),
                transposed: None,
            }));
            layers.push(FusedLayer::Activation(Activation::LeakyRelu(0.0)));
        }
        let count = theta.len();
        let chain = FusedSequential::new(&input, layers, Precision::F32, Reuse::UntilChanged)?;
        Ok(Stage::Convs(Arc::new(chain), Tensor::from_vec(theta, count, &Device::Cpu)?))
    }

    /// Kernel and bias with batch norm in them: w·γ/√(v + ε) and β − m·γ/√(v + ε).
    fn folded(&self, conv: &Conv) -> candle_core::Result<[Vec<f32>; 2]> {
        let name = full(self.block, conv);
        let of =
            |part: &str| self.tensors[&format!("{name}.{part}")].to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let (weight, scale, shift) = (of("conv.weight")?, of("bn.weight")?, of("bn.bias")?);
        let (mean, variance) = (of("bn.running_mean")?, of("bn.running_var")?);
        let factors: Vec<f64> = scale.iter().zip(&variance).map(|(scale, v)| scale / (v + EPS).sqrt()).collect();
        let rows = weight.chunks_exact(weight.len() / conv.outputs).zip(&factors);
        let kernel = rows.flat_map(|(row, factor)| row.iter().map(move |w| (w * factor) as f32)).collect();
        let bias = (0..conv.outputs).map(|i| (shift[i] - mean[i] * factors[i]) as f32).collect();
        Ok([kernel, bias])
    }
}

fn spec(conv: &Conv) -> ConvSpec {
    let [kh, kw] = conv.kernel;
    let (stride, padding) = match conv.step {
        Step::Same => (1, Padding { top: kh / 2, bottom: kh / 2, left: kw / 2, right: kw / 2 }),
        Step::Inside => (1, Padding::default()),
        Step::Halve => (2, Padding::default()),
    };
    ConvSpec { stride: [stride; 2], padding, ..ConvSpec::default() }
}

impl Block {
    /// x `[N, H, W, C]` -> `[N, H', W', C']`.
    ///
    /// # Errors
    /// From candle, if x has another shape than the block is for.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        run(&self.stages, x)
    }
}

fn run(stages: &[Stage], x: &Tensor) -> candle_core::Result<Tensor> {
    stages.iter().try_fold(x.clone(), |x, stage| match stage {
        Stage::Convs(chain, theta) => {
            let (from, to) = (Layout::ChannelsLast, Layout::ChannelsLast);
            let run = Run { statistics: Statistics::Given(&[]), noise: vec![], from, to };
            Ok(chain.apply(&x, theta, run)?.0)
        }
        Stage::Pool(pool) => pool.run(&x),
        Stage::Fork(branches) => {
            let ends = branches.iter().map(|branch| run(branch, &x)).collect::<candle_core::Result<Vec<_>>>()?;
            Tensor::cat(&ends, 3)?.contiguous()
        }
    })
}
