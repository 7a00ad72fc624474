//! The gradient of a gradient's norm, as gradient penalties need it, against central differences.

mod common;

use candle_core::{Result, Tensor, Var};
use common::{check_gradients, made, weigh};
use gan_kernels::{ConvSpec, Padding};

/// ‖∂f/∂x‖² for the first input x, as a differentiable function of all inputs.
fn penalty(t: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
    let x = if t[0].is_variable() { t[0].clone() } else { Var::from_tensor(&t[0])?.as_tensor().clone() };
    let args: Vec<Tensor> = std::iter::once(x.clone()).chain(t[1..].iter().cloned()).collect();
    let grads = f(&args)?.backward()?;
    let g = grads.get(&x).expect("a gradient for x");
    (g.sqr()?.sum_all()? + weigh(g)?)? + 0.0
}

#[test]
fn gradients_of_gradients() {
    // SAFETY: this binary has one test, and nothing reads the environment beside it.
    unsafe { std::env::set_var("CANDLE_GRAD_DO_NOT_DETACH", "1") };
    let square = |y: &Tensor| weigh(&(y.sqr()? + y)?);
    let specs = [
        ConvSpec::square(2, 1),
        ConvSpec { padding: Padding { top: 0, bottom: 1, left: 0, right: 1 }, ..ConvSpec::square(2, 0) },
    ];
    for spec in &specs {
        check_gradients("conv2d", &[made(&[2, 2, 5, 5], 1), made(&[2, 2, 3, 3], 2), made(&[2], 3)], |t| {
            penalty(t, |t| square(&gan_kernels::conv2d(&t[0], &t[1], Some(&t[2]), spec)?))
        });
        check_gradients("conv_transpose2d", &[made(&[2, 2, 3, 3], 1), made(&[2, 2, 4, 4], 2)], |t| {
            penalty(t, |t| square(&gan_kernels::conv_transpose2d(&t[0], &t[1], None, spec, [0, 0])?))
        });
    }
    check_gradients("linear", &[made(&[3, 2], 1), made(&[4, 2], 2), made(&[4], 3)], |t| {
        penalty(t, |t| square(&gan_kernels::linear(&t[0], &t[1], Some(&t[2]))?))
    });
    check_gradients("batch norm", &[made(&[3, 2, 2, 2], 1), made(&[2], 2), made(&[2], 3)], |t| {
        penalty(t, |t| square(&gan_kernels::batch_norm_train(&t[0], &t[1], &t[2], 1e-2, &None)?.0))
    });
    type Case = (&'static str, fn(&Tensor) -> Result<Tensor>);
    let cases: [Case; 6] = [
        ("leaky relu", |x| gan_kernels::leaky_relu(x, 0.2)),
        ("tanh", gan_kernels::tanh),
        ("softplus", gan_kernels::softplus),
        ("global max", gan_kernels::global_max_pool2d),
        ("upsample", |x| gan_kernels::upsample_nearest2d(x, [2, 2])),
        ("average", |x| gan_kernels::avg_pool2d(x, [2, 2])),
    ];
    for (name, f) in cases {
        check_gradients(name, &[made(&[2, 2, 4, 4], 1)], |t| penalty(t, |t| square(&f(&t[0])?)));
    }
}
