//! Compares every operation with the CPU backend, over doubles of the driver, cuDNN and cuBLAS.

#![allow(clippy::print_stdout)]

mod common;

use common::operations::special_numbers::{large_means, two_groups, with_nan};
use common::operations::{Case, all, basics, difference, distance, layers, norms};
use gan_cuda::step::StepBackend;
use gan_cuda::{Choice, Products};
use gan_kernels::backend::Memory;
use gan_kernels::{Cpu, Precision};

fn check(products: Products, choice: Choice, most: f32) {
    let Some(cuda) = common::device(products) else { return };
    let cuda = cuda.with_choice(choice);
    let [found, expected] = match choice {
        Choice::Heuristic => [all(&cuda, Precision::F32), all(&Cpu, Precision::F32Accurate)],
        // Only convolutions can choose.
        Choice::Timed | Choice::Rows | Choice::Loops => {
            [basics(&cuda, Precision::F32), basics(&Cpu, Precision::F32Accurate)]
        }
    };
    let mut wrong = vec![];
    for (a, b) in found.iter().zip(&expected) {
        let error = match products {
            Products::Bf16 => distance(&a.results, &b.results),
            Products::F32 | Products::Tf32 => difference(&a.results, &b.results),
        };
        if error.is_nan() || error >= most {
            let values = a.results.iter().flatten().zip(b.results.iter().flatten());
            let count = values.filter(|(a, b)| (*a - *b).abs() > most).count();
            wrong.push(format!("{}: {error:e}, {count} numbers by more than {most:e}", a.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), found.len(), wrong.join("\n"));
}

#[test]
fn f32_operations_equal_the_cpus() {
    check(Products::F32, Choice::Heuristic, 5e-5);
}

#[test]
fn timed_operations_equal_the_cpus() {
    // The doubles do not round to TF32.
    check(Products::Tf32, Choice::Timed, 5e-5);
}

#[test]
fn sums_in_one_kernel_equal_those_in_two() {
    let Some(cuda) = common::device(Products::Tf32) else { return };
    for products in [Products::Tf32, Products::Bf16] {
        let two = norms(&cuda.with_products(products));
        let one = norms(&cuda.with_products(products).with_sums_in_one_kernel(true));
        for (a, b) in one.iter().zip(&two) {
            let error = distance(&a.results, &b.results);
            assert!(error < if products == Products::Bf16 { 0.01 } else { 1e-5 }, "{}: {error:e}", a.name);
        }
    }
}

#[test]
fn convolutions_by_rows_equal_the_cpus() {
    check(Products::Tf32, Choice::Rows, 5e-5);
}

#[test]
fn convolutions_by_loops_equal_the_cpus() {
    check(Products::F32, Choice::Loops, 5e-5);
}

#[test]
fn bf16_operations_are_close_to_the_cpus() {
    check(Products::Bf16, Choice::Heuristic, 0.15);
    check(Products::Bf16, Choice::Rows, 0.15);
}

#[test]
fn layers_in_bf16_are_as_close_as_their_format() {
    let Some(cuda) = common::device(Products::Bf16) else { return };
    for (a, b) in layers(&*cuda).iter().zip(&layers(&Cpu)) {
        let error = distance(&a.results, &b.results);
        // Some numbers are on the other side of the activation's kink.
        let most = if a.name.ends_with("slope 0.2") { 0.1 } else { 0.03 };
        println!("{}: {error:e}", a.name);
        assert!(error < most, "{}: {error:e}", a.name);
    }
}

#[test]
fn large_means_do_not_swallow_the_spread() {
    let Some(cuda) = common::device(Products::F32) else { return };
    let [there, near] = large_means(&*cuda);
    let error = difference(&there, &near);
    assert!(error < 1e-4, "{error:e}");
}

#[test]
fn groups_of_a_batch_are_normalized_apart() {
    let Some(cuda) = common::device(Products::F32) else { return };
    let error = difference(&two_groups(&*cuda, 1), &two_groups(&*cuda, 2));
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn nan_goes_where_the_cpu_takes_it() {
    for products in [Products::F32, Products::Bf16] {
        let Some(cuda) = common::device(products) else { return };
        for (a, b) in with_nan(&*cuda).iter().zip(&with_nan(&Cpu)) {
            let places = |all: &[Vec<f32>]| -> Vec<bool> { all.iter().flatten().map(|v| v.is_nan()).collect() };
            let found = places(&a.results);
            assert_eq!(found, places(&b.results), "{products:?}: {}", a.name);
            assert!(found.contains(&true), "{}", a.name);
        }
    }
}

#[test]
fn values_that_are_sent_without_waiting_arrive_in_order() {
    let Some(cuda) = common::device(Products::F32) else { return };
    let mut place = cuda.f32_zeros(3);
    let mut copies: Vec<_> = (0..4).map(|_| cuda.f32_zeros(3)).collect();
    for (i, copy) in copies.iter_mut().enumerate() {
        let sent = [i as f32, 1.0, -1.0];
        StepBackend::stage(&*cuda, &sent, cuda.slice_mut(&mut place));
        cuda.copy_to(cuda.slice(&place), cuda.slice_mut(copy));
    }
    for (i, copy) in copies.iter().enumerate() {
        assert_eq!(cuda.get(cuda.slice(copy)), [i as f32, 1.0, -1.0]);
    }
}

/// The compiled kernels belong to the texts beside them.
#[test]
fn kernels_are_compiled() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels");
    let compiled = std::fs::read_to_string(folder.join("kernels.ptx")).unwrap();
    // As in build.sh.
    let command = "LC_ALL=C; export LC_ALL; cat kernels.cu *.cuh | sha256sum";
    let Ok(sum) = std::process::Command::new("sh").args(["-c", command]).current_dir(&folder).output() else {
        println!("skipped: there is no shell");
        return;
    };
    let sum = String::from_utf8(sum.stdout).unwrap();
    let Some(sum) = sum.split_whitespace().next() else {
        println!("skipped: there is no sha256sum");
        return;
    };
    let expected = format!("// of kernels.cu {sum}");
    assert_eq!(compiled.lines().next(), Some(&expected[..]), "run src/kernels/build.sh");
}

#[test]
fn the_order_of_blocks_and_threads_does_not_change_a_bit() {
    let Some(device) = common::device(Products::F32) else { return };
    for (products, one_kernel) in [(Products::F32, false), (Products::Bf16, true)] {
        let cuda = device.with_products(products).with_sums_in_one_kernel(one_kernel);
        let expected = all(&cuda, Precision::F32);
        if !device.reverse(true) {
            return;
        }
        let found = all(&cuda, Precision::F32);
        device.reverse(false);
        let bits = |case: &Case| -> Vec<u32> { case.results.iter().flatten().map(|x| x.to_bits()).collect() };
        for (a, b) in found.iter().zip(&expected) {
            assert_eq!(bits(a), bits(b), "{} {products:?}", a.name);
        }
    }
}
