//! Kernels with spectral norm.

mod common;

use candle_core::Tensor;
use gan_base::Rng;
use gan_core::{ForwardContext, Init, Network, RandomTensors};
use gan_kernels::fused::Reuse;
use gan_kernels::testing::test_device;

fn network(input: &[usize], list: &str) -> Network {
    let layers = common::layers(list);
    Network::new("n", input, &layers, Init::He, Reuse::UntilChanged, &mut Rng::new(3), test_device()).unwrap()
}

#[test]
fn power_iteration_finds_the_largest_singular_value() {
    let network = network(&[4], r#"[{ dense = 4, bias = false, spectral_norm = true }]"#);
    // A rotation times a diagonal matrix of 3, 1, 0.5 and 0.1, which are the singular values.
    let (sine, cosine) = 0.6f32.sin_cos();
    let rows =
        [[3.0 * cosine, -sine, 0.0, 0.0], [3.0 * sine, cosine, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.1]];
    let kernel = Tensor::new(&rows, test_device()).unwrap();
    network.params()[0].set(&kernel).unwrap();
    let x = Tensor::eye(4, candle_core::DType::F32, test_device()).unwrap();
    let mut rng = Rng::new(1);
    for _ in 0..15 {
        network.forward(&x, &mut ForwardContext::train(&mut rng)).unwrap();
    }
    let expected = (kernel.t().unwrap() / 3.0).unwrap();
    for _ in 0..2 {
        let before = network.params()[1].tensor().unwrap().to_vec1::<f32>().unwrap();
        let y = network.forward(&x, &mut ForwardContext::eval()).unwrap();
        let error = (&y - &expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(error < 1e-5, "{y}");
        network.forward(&x, &mut ForwardContext::steady(&mut rng)).unwrap();
        assert_eq!(network.params()[1].tensor().unwrap().to_vec1::<f32>().unwrap(), before);
    }
}

#[test]
fn a_kernel_of_zeros_stays_finite_under_spectral_norm() {
    let list = r#"[{ conv = 3, kernel = 3, spectral_norm = true, gain = 0.0 }, "flatten", { dense = 1 }]"#;
    let network = network(&[1, 4, 4], list);
    let x = Rng::new(5).normal_tensor(0.0, 1.0, (2, 1, 4, 4), test_device()).unwrap();
    let mut rng = Rng::new(1);
    let y = network.forward(&x, &mut ForwardContext::train(&mut rng)).unwrap();
    let grads = y.sum_all().unwrap().backward().unwrap();
    for param in network.params().iter().filter(|param| param.role.is_trained()) {
        let gradient = param.of(grads.get(param.var()).unwrap()).unwrap().flatten_all().unwrap();
        assert!(gradient.to_vec1::<f32>().unwrap().iter().all(|g| g.is_finite()), "{}", param.name);
    }
}
