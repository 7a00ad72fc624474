//! Compares every operation with the CPU backend, over doubles of the driver, cuDNN and cuBLAS.

mod common;

use common::operations::{all, difference, distance};
use gan_cuda::Products;
use gan_kernels::{Cpu, Precision};

fn check(products: Products, most: f32) {
    let Some(cuda) = common::device(products) else { return };
    let expected = all(&Cpu, Precision::F32Accurate);
    let found = all(&*cuda, Precision::F32);
    let mut wrong = vec![];
    for (a, b) in found.iter().zip(&expected) {
        let error = match products {
            Products::Bf16 => distance(&a.results, &b.results),
            Products::F32 | Products::Tf32 => difference(&a.results, &b.results),
        };
        if !(error < most) {
            wrong.push(format!("{}: {error:e}", a.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), found.len(), wrong.join("\n"));
}

#[test]
fn f32_operations_equal_the_cpus() {
    check(Products::F32, 5e-5);
}

#[test]
fn tf32_operations_equal_the_cpus() {
    // The doubles do not round to TF32.
    check(Products::Tf32, 5e-5);
}

#[test]
fn bf16_operations_are_close_to_the_cpus() {
    check(Products::Bf16, 0.05);
}
