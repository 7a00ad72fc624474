//! Compares whole training steps with the CPU backend, and captured ones with those that are not, over doubles of NVIDIA's libraries.

#![allow(clippy::print_stdout)]

mod common;

use common::networks::{self, Made, latents, random};
use gan_cuda::step::{PlainGan, StepBackend};
use gan_cuda::{Cuda, Products};
use gan_kernels::{Cpu, Precision};

/// The networks with few channels and samples.
fn small() -> Vec<(&'static str, Made)> {
    vec![
        ("dcgan", networks::dcgan(3, 4, 2, 5, 3)),
        ("dcgan-mnist", networks::dcgan_mnist(4, 6, 3)),
        ("keras-mnist", networks::keras_mnist(8, 6, 3)),
        ("upsample-mnist", networks::upsample_mnist(8, 6, 3)),
        ("residual", networks::residual(8, 6, 3)),
    ]
}

fn start<B: StepBackend>(backend: &B, made: &Made) -> PlainGan<B> {
    let [g, d] = &made.initial;
    let mut gan = PlainGan::new(backend.clone(), made.plain.clone(), Precision::F32, [g, d]).unwrap();
    let [c, h, w] = made.plain.image;
    gan.set_images(&random(&mut 5, made.plain.batch * c * h * w));
    gan
}

fn run<B: StepBackend>(gan: &mut PlainGan<B>, made: &Made, steps: std::ops::Range<u64>) {
    for step in steps {
        gan.send_latents(&latents(made, step));
        gan.run().unwrap();
    }
}

/// Returns the largest difference of parameters, relative to the largest of them.
fn largest(a: &[Vec<f32>; 2], b: &[Vec<f32>; 2]) -> f32 {
    common::operations::difference(a, b)
}

#[test]
fn steps_equal_the_cpus() {
    let Some(cuda) = common::device(Products::F32) else { return };
    for (name, made) in small() {
        let mut a = start(&*cuda, &made);
        let mut b = start(&Cpu, &made);
        for step in 0..3 {
            run(&mut a, &made, step..step + 1);
            run(&mut b, &made, step..step + 1);
            let losses = common::operations::difference(&[a.losses()], &[b.losses()]);
            let parameters = largest(&a.parameters(), &b.parameters());
            let gradients = common::operations::distance(&a.gradients(), &b.gradients());
            println!("{name} step {step}: losses {losses:e}, gradients {gradients:e}, parameters {parameters:e}");
            assert!(losses < 1e-4 && parameters < 2e-2, "{name} step {step}");
            // A bias before a batch norm has no gradient but noise.
            assert!(step > 0 || gradients < 1e-3 || name.ends_with("-mnist"), "{name} step {step}");
        }
    }
}

#[test]
fn captured_steps_have_the_same_bits() {
    let Some(cuda) = common::device(Products::Tf32) else { return };
    for (products, other) in [(Products::Tf32, false), (Products::Bf16, false), (Products::Tf32, true)] {
        let cuda = &cuda.with_products(products).with_weights_beside(other).with_sums_in_one_kernel(other);
        for (name, made) in small() {
            let mut a = start(cuda, &made);
            run(&mut a, &made, 0..6);
            let mut b = start(cuda, &made);
            run(&mut b, &made, 0..2);
            let (_, requests) = cuda.allocated();
            let (graph, result) = cuda.capture(|| b.run()).unwrap();
            result.unwrap();
            assert_eq!(cuda.allocated().1, requests, "{name}: a captured step requested memory");
            for step in 2..6 {
                b.send_latents(&latents(&made, step));
                graph.launch();
                // Others use the device's memory between the steps.
                other_work(cuda);
            }
            assert_eq!(a.parameters(), b.parameters(), "{name} {products:?}");
            assert_eq!(a.losses(), b.losses(), "{name} {products:?}");
            assert!(graph.nodes > 50);
        }
    }
}

/// Writes to all memory that is free.
fn other_work(cuda: &Cuda) {
    let buffers: Vec<_> = (5..16).map(|i| cuda.upload(&vec![f32::NAN; 1 << i])).collect();
    drop(buffers);
}

#[test]
fn bf16_steps_stay_close() {
    let Some(cuda) = common::device(Products::Bf16) else { return };
    for (name, made) in small() {
        let mut a = start(&*cuda, &made);
        let mut b = start(&Cpu, &made);
        run(&mut a, &made, 0..2);
        run(&mut b, &made, 0..2);
        let losses = common::operations::difference(&[a.losses()], &[b.losses()]);
        println!("{name}: losses {losses:e}");
        assert!(losses < 0.2, "{name}: {losses:e}");
    }
}

#[test]
fn a_profile_names_each_kernel() {
    let Some(cuda) = common::device(Products::Tf32) else { return };
    let made = networks::dcgan(3, 4, 2, 5, 3);
    let mut gan = start(&*cuda, &made);
    run(&mut gan, &made, 0..1);
    let profile = cuda.profile(|| gan.run().unwrap());
    assert!(profile.iter().any(|(name, _)| name.starts_with("conv InputGrad")) && profile.len() > 50);
}
