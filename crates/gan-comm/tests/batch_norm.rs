//! Compares networks with batch norm over the batches of several ranks with the same network over all samples at once: outputs, gradients
//! of input and weights, running averages.

use candle_core::{Tensor, Var};
use gan_base::Rng;
use gan_comm::{Communicator, Statistics, threads};
use gan_core::RandomTensors;
use gan_core::{ForwardContext, Init, Layer, Network};
use gan_data::ProcessShard;
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;
use gan_kernels::{Precision, Ranks};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq)]
enum Path {
    Fused,
    LayerByLayer,
}

struct Found {
    y: Vec<f32>,
    dx: Vec<f32>,
    /// Gradients of the weights and running averages.
    params: Vec<Vec<f32>>,
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn layers(text: &str) -> Vec<Layer> {
    #[derive(serde::Deserialize)]
    struct List {
        layers: Vec<Layer>,
    }
    toml::from_str::<List>(&format!("layers = {text}")).unwrap().layers
}

/// Runs the network on one rank's samples, with a loss that weights every output differently.
fn pass(input: &[usize], text: &str, n: usize, share: ProcessShard, ranks: &Ranks, path: Path) -> Found {
    let rng = &mut Rng::new(3);
    let network = Network::new("n", input, &layers(text), Init::He, Reuse::Never, rng, test_device()).unwrap();
    let network = network.with_precision(Precision::F32Accurate).unwrap();
    let range = share.range(n);
    let [first, len] = [range.start, range.len()];
    let whole = Rng::new(5).normal_tensor(1.0, 2.0, [&[n], input].concat(), test_device()).unwrap();
    let x = Var::from_tensor(&whole.narrow(0, first, len).unwrap().contiguous().unwrap()).unwrap();
    let mut rng = Rng::new(7);
    let classes: Vec<u32> = range.map(|i| (i * 2 % 3) as u32).collect();
    let classes = Tensor::new(classes, test_device()).unwrap();
    let mut pass = ForwardContext::train(&mut rng).over(ranks).of_classes(Some(&classes));
    let y = match path {
        Path::Fused => network.forward(x.as_tensor(), &mut pass).unwrap(),
        Path::LayerByLayer => network.forward_reference(x.as_tensor(), &mut pass).unwrap(),
    };
    let weights = Rng::new(9).normal_tensor(0.0, 1.0, [&[n], &y.dims()[1..]].concat(), test_device()).unwrap();
    let weights = weights.narrow(0, first, len).unwrap();
    let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let params = network.params().iter().map(|param| match param.role.is_trained() {
        true => values(&param.of(grads.get(param.var()).unwrap()).unwrap()),
        false => values(&param.tensor().unwrap()),
    });
    Found { y: values(&y), dx: values(grads.get(&x).unwrap()), params: params.collect() }
}

/// Asserts a difference of at most 2e-5 of the largest number, or of 0.1: the gradient of a bias before a batch norm is only rounding.
fn close(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let largest = b.iter().fold(0.1f32, |m, x| m.max(x.abs()));
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(worst <= 2e-5 * largest, "{what}: differs by {worst:e} of {largest}");
}

fn check(input: &[usize], text: &str, n: usize, path: Path) {
    let whole = pass(input, text, n, ProcessShard::WHOLE, &None, path);
    for ranks in [2, 3, 4] {
        let found = threads::run(ranks, |team: Arc<dyn Communicator>| {
            let share = ProcessShard { rank: team.rank(), ranks };
            let over: Ranks = Some(Arc::new(Statistics(Arc::clone(&team))));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let mut found = pool.install(|| pass(input, text, n, share, &over, path));
            // Gradients are summed over the ranks; running averages are equal on every rank.
            for params in &mut found.params {
                team.sum(params)?;
            }
            Ok::<_, gan_comm::Error>(found)
        });
        let found = found.unwrap();
        let joined = |of: fn(&Found) -> &Vec<f32>| found.iter().flat_map(of).copied().collect::<Vec<f32>>();
        close(&format!("{text}, {ranks} ranks: output"), &joined(|f| &f.y), &whole.y);
        close(&format!("{text}, {ranks} ranks: dx"), &joined(|f| &f.dx), &whole.dx);
        let trained = is_trained(input, text);
        for (i, (ours, theirs)) in found[0].params.iter().zip(&whole.params).enumerate() {
            let part = if trained[i] { 1.0 } else { ranks as f32 };
            let ours: Vec<f32> = ours.iter().map(|v| v / part).collect();
            close(&format!("{text}, {ranks} ranks: parameter {i}"), &ours, theirs);
        }
    }
}

fn is_trained(input: &[usize], text: &str) -> Vec<bool> {
    let rng = &mut Rng::new(3);
    let network = Network::new("n", input, &layers(text), Init::He, Reuse::Never, rng, test_device()).unwrap();
    network.params().iter().map(|param| param.role.is_trained()).collect()
}

const IMAGES: &str = r#"[{ conv = 5, kernel = 4, stride = 2, padding = 1 }, { batch_norm = {} }, { leaky_relu = 0.2 },
    { conv = 4, kernel = 3, padding = 1, bias = false }, { batch_norm = {} }, "relu", "flatten", { dense = 3 }]"#;
const CONDITIONAL: &str = r#"[{ conv = 5, kernel = 4, stride = 2, padding = 1 }, { conditional_batch_norm = 3 }, "relu",
    { conv = 4, kernel = 3, bias = false }, { conditional_batch_norm = 3 }, "flatten", { dense = 3 }]"#;
const VECTORS: &str = r#"[{ dense = 6 }, { batch_norm = {} }, { leaky_relu = 0.2 }, { dense = 2 }]"#;

#[test]
fn fused_networks_over_ranks_equal_the_whole_batch() {
    check(&[2, 8, 8], IMAGES, 7, Path::Fused);
    check(&[2, 8, 8], CONDITIONAL, 7, Path::Fused);
    check(&[5], VECTORS, 9, Path::Fused);
}

#[test]
fn layers_over_ranks_equal_the_whole_batch() {
    check(&[2, 8, 8], IMAGES, 7, Path::LayerByLayer);
    check(&[2, 8, 8], CONDITIONAL, 7, Path::LayerByLayer);
    check(&[5], VECTORS, 9, Path::LayerByLayer);
}

/// Each rank may have a single number per channel, whose own variance would be undefined.
#[test]
fn one_sample_per_rank_is_enough() {
    check(&[5], VECTORS, 4, Path::Fused);
}

/// Checks that the comparison above is meaningful: without sums over ranks, each shard has its own statistics and the results differ.
#[test]
fn separate_statistics_differ_from_those_of_the_whole_batch() {
    let whole = pass(&[5], VECTORS, 8, ProcessShard::WHOLE, &None, Path::Fused);
    let half = pass(&[5], VECTORS, 8, ProcessShard { rank: 0, ranks: 2 }, &None, Path::Fused);
    let worst = half.y.iter().zip(&whole.y).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(worst > 1e-2, "{worst}");
}
