//! Compares gradients with central differences in f64, also in cases where candle's own gradients are wrong, and checks that frozen weights cost nothing.

mod common;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};
use common::{check_gradients, made, values, weigh, within_reach};
use gan_kernels::testing::test_device;
use gan_kernels::{ConvSpec, Padding};

#[test]
fn gradients_of_convolutions_equal_finite_differences() {
    let specs = [
        ConvSpec::square(2, 1),
        ConvSpec::default(),
        ConvSpec { padding: Padding { top: 0, bottom: 1, left: 0, right: 1 }, ..ConvSpec::square(2, 0) },
        ConvSpec {
            stride: [2, 1],
            padding: Padding { top: 2, bottom: 0, left: 1, right: 3 },
            dilation: [1, 2],
            ..ConvSpec::default()
        },
    ];
    for (i, spec) in specs.iter().map(|spec| within_reach(*spec)).enumerate() {
        let spec = &spec;
        let (x, w, b) = (made(&[2, 2, 6, 7], 1), made(&[3, 2, 3, 4], 2), made(&[3], 3));
        check_gradients(&format!("conv2d {i}"), &[x, w, b], |t| {
            weigh(&gan_kernels::ops::conv2d(&t[0], &t[1], Some(&t[2]), spec)?)
        });
        let (x, w, b) = (made(&[2, 3, 3, 4], 1), made(&[3, 2, 4, 3], 2), made(&[2], 3));
        check_gradients(&format!("conv_transpose2d {i}"), &[x, w, b], |t| {
            weigh(&gan_kernels::ops::conv_transpose2d(&t[0], &t[1], Some(&t[2]), spec, [0, 0])?)
        });
    }
}

#[test]
fn gradients_with_one_channel_on_one_side_equal_finite_differences() {
    let padding = Padding { top: 1, bottom: 1, left: 2, right: 0 };
    let spec = ConvSpec { padding, ..ConvSpec::default() };
    check_gradients("conv2d 4 -> 1", &[made(&[2, 4, 5, 4], 1), made(&[1, 4, 3, 3], 2)], |t| {
        weigh(&gan_kernels::ops::conv2d(&t[0], &t[1], None, &spec)?)
    });
    check_gradients("conv_transpose2d 1 -> 4", &[made(&[2, 1, 5, 4], 1), made(&[1, 4, 3, 3], 2)], |t| {
        weigh(&gan_kernels::ops::conv_transpose2d(&t[0], &t[1], None, &spec, [0, 0])?)
    });
}

#[test]
fn gradients_of_all_other_operations_equal_finite_differences() {
    let x = || made(&[2, 3, 4, 6], 1);
    check_gradients("linear", &[made(&[4, 3], 1), made(&[2, 3], 2), made(&[2], 3)], |t| {
        weigh(&gan_kernels::ops::linear(&t[0], &t[1], Some(&t[2]))?)
    });
    check_gradients("leaky relu", &[x()], |t| weigh(&gan_kernels::ops::leaky_relu(&t[0], 0.2)?));
    check_gradients("tanh", &[x()], |t| weigh(&t[0].tanh()?));
    check_gradients("sigmoid", &[x()], |t| weigh(&gan_kernels::ops::sigmoid(&t[0])?));
    check_gradients("softplus", &[x()], |t| weigh(&gan_kernels::ops::softplus(&t[0])?));
    check_gradients("global max", &[x()], |t| weigh(&gan_kernels::ops::global_max_pool2d(&t[0])?));
    check_gradients("global average", &[x()], |t| weigh(&gan_kernels::ops::global_avg_pool2d(&t[0])?));
    check_gradients("average", &[x()], |t| weigh(&gan_kernels::ops::avg_pool2d(&t[0], [3, 4])?));
    check_gradients("zero pad", &[x()], |t| {
        weigh(&gan_kernels::ops::zero_pad2d(&t[0], Padding { top: 1, bottom: 0, left: 0, right: 2 })?)
    });
    check_gradients("dropout", &[x()], |t| {
        weigh(&gan_kernels::ops::dropout(&t[0], &made(&[2, 3, 4, 6], 9).affine(0.5, 0.5)?, 0.4)?)
    });
    // The input has a second consumer; candle's own upsampling loses a gradient in this case.
    check_gradients("upsample", &[x()], |t| {
        weigh(&gan_kernels::ops::upsample_nearest2d(&t[0], [2, 3])?)? + weigh(&t[0].sqr()?)?
    });
}

fn gradient(x: &[f64], f: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<f64> {
    let x = Var::new(x, test_device()).unwrap();
    let grads = f(x.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
    values(grads.get(&x).unwrap())
}

#[test]
fn gradients_at_kinks_equal_pytorchs() {
    assert_eq!(gradient(&[-1.0, 0.0, 1.0], gan_kernels::ops::relu), [0.0, 0.0, 1.0]);
    assert_eq!(gradient(&[-1.0, 0.0, 1.0], |x| gan_kernels::ops::leaky_relu(x, 0.2)), [0.2, 0.2, 1.0]);
    let shared = gradient(&[1.0, 3.0, 3.0, 2.0], |x| gan_kernels::ops::global_max_pool2d(&x.reshape((1, 1, 2, 2))?));
    assert_eq!(shared, [0.0, 0.5, 0.5, 0.0]);
}

#[test]
fn a_frozen_weight_gets_no_gradient_and_leaves_the_inputs_unchanged() -> Result<()> {
    // This holds for this crate's own operations, which run on the CPU.
    if !test_device().is_cpu() {
        return Ok(());
    }
    let x = Var::from_tensor(&made(&[2, 2, 6, 6], 1).to_dtype(DType::F32)?)?;
    let w = Var::from_tensor(&made(&[3, 2, 4, 4], 2).to_dtype(DType::F32)?)?;
    let spec = ConvSpec::square(2, 1);
    let full = weigh(&gan_kernels::ops::conv2d(&x, &w, None, &spec)?)?.backward()?;
    let frozen = weigh(&gan_kernels::ops::conv2d(&x, &w.detach(), None, &spec)?)?.backward()?;
    assert!(full.get(&w).is_some() && frozen.get(&w).is_none());
    assert_eq!(full.get_ids().count() - frozen.get_ids().count(), 1, "the weight's gradient is the only one missing");
    let same = |grads: &GradStore| grads.get(&x).unwrap().flatten_all()?.to_vec1::<f32>();
    assert_eq!(same(&full)?, same(&frozen)?);
    Ok(())
}

#[test]
fn first_order_gradients_carry_no_graph() -> Result<()> {
    // This holds for this crate's own operations, which run on the CPU.
    if !test_device().is_cpu() {
        return Ok(());
    }
    let x = Var::from_tensor(&made(&[2, 2, 4, 4], 1).to_dtype(DType::F32)?)?;
    let w = Var::from_tensor(&made(&[3, 2, 3, 3], 2).to_dtype(DType::F32)?)?;
    let grads = weigh(&gan_kernels::ops::conv2d(&x, &w, None, &ConvSpec::square(1, 1))?)?.backward()?;
    assert!(!grads.get(&w).unwrap().track_op() && !grads.get(&x).unwrap().track_op());
    Ok(())
}
