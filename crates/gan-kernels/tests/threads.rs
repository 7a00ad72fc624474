//! Layers compute the same bits with any number of threads.

mod common;

use candle_core::{DType, Tensor, Var};
use common::{made, weigh};
use gan_kernels::fused::{
    Activation, Attention, Conv, FusedLayer, FusedSequential, GlobalMaxPool, Glu, InputActivation, Layout,
    LearnedSlope, MinibatchStd, OwnFactors, PixelNorm, Reuse, Run, SampleNorm, SlopeApplies, Statistics, Weights,
};
use gan_kernels::{ConvSpec, Precision};
use std::sync::Arc;

const CHANNELS: usize = 24;
/// Number of parameters: a kernel, γ and β of one norm with groups and of one for three classes, a
/// depthwise kernel, a slope.
const PARAMETERS: usize = CHANNELS * 3 * 9 + 2 * CHANNELS + 6 * CHANNELS + 9 * CHANNELS + 1;

fn network() -> Arc<FusedSequential> {
    let weights = Weights { weight: 0, bias: None };
    let spec = ConvSpec::square(1, 1);
    let conv = Conv { weights, groups: 1, outputs: CHANNELS, kernel: [3, 3], spec, transposed: None };
    let start = CHANNELS * 3 * 9;
    let weights = Weights { weight: start + 8 * CHANNELS, bias: None };
    let depthwise = Conv { weights, groups: CHANNELS, ..conv.clone() };
    let norm = |of, affine| FusedLayer::SampleNorm(SampleNorm { of, affine: Some(affine), eps: 1e-5 });
    let layers = vec![
        FusedLayer::Conv(conv),
        norm(OwnFactors::Statistics { groups: 4 }, [start, start + CHANNELS]),
        FusedLayer::Activation(Activation::LeakyRelu(0.2)),
        FusedLayer::Conv(depthwise),
        FusedLayer::LearnedSlope(LearnedSlope { slope: PARAMETERS - 1, applies: SlopeApplies::BelowZero }),
        norm(OwnFactors::Affine { classes: 3 }, [start + 2 * CHANNELS, start + 5 * CHANNELS]),
        FusedLayer::InputActivation(InputActivation::Silu),
        FusedLayer::Glu(Glu),
        FusedLayer::PixelNorm(PixelNorm { eps: 1e-8 }),
        FusedLayer::Attention(Attention { keys: 3 }),
        FusedLayer::MinibatchStd(MinibatchStd { group: 3 }),
        FusedLayer::InputActivation(InputActivation::Gelu),
        FusedLayer::GlobalMaxPool(GlobalMaxPool),
    ];
    Arc::new(FusedSequential::new(&[3, 20, 20], layers, Precision::F32, Reuse::Never).unwrap())
}

/// Returns outputs and gradients, and the directional derivative with its gradient, as bits.
fn results(threads: usize) -> Vec<Vec<u32>> {
    let single = |shape: &[usize], seed: u64| made(shape, seed).to_dtype(DType::F32).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let network = network();
        let x = Var::from_tensor(&single(&[6, 3, 20, 20], 1)).unwrap();
        let theta = Var::from_tensor(&single(&[PARAMETERS], 2)).unwrap();
        let classes = Some(vec![0, 2, 1, 1, 0, 2]);
        let [from, to] = [Layout::ChannelsFirst; 2];
        let run = Run { statistics: Statistics::Batch(&None), noise: vec![], classes: classes.clone(), from, to };
        let (y, _) = network.apply(x.as_tensor(), theta.as_tensor(), run).unwrap();
        let grads = weigh(&y).unwrap().backward().unwrap();
        let t = single(&[6, 3, 20, 20], 3);
        let moved = network.jvp(x.as_tensor(), &t, theta.as_tensor(), &vec![], classes).unwrap();
        let of_moved = weigh(&moved).unwrap().backward().unwrap();
        let all = [&y, grads.get(&x).unwrap(), grads.get(&theta).unwrap(), &moved, of_moved.get(&theta).unwrap()];
        let bits =
            |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect();
        all.map(bits).to_vec()
    })
}

#[test]
fn every_number_of_threads_computes_the_same_bits() {
    let one = results(1);
    assert!(one.iter().flatten().all(|bits| f32::from_bits(*bits).is_finite()));
    assert!(one.iter().all(|all| all.iter().any(|bits| f32::from_bits(*bits) != 0.0)));
    for threads in [2, 5] {
        assert!(results(threads) == one, "{threads} threads");
    }
}
