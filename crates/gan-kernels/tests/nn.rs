//! The modules compute what candle-nn's compute: outputs, gradients and running averages.

use candle_core::{DType, Device, Module, ModuleT, Result, Tensor, Var};
use candle_nn::{BatchNormConfig, Conv2dConfig, ConvTranspose2dConfig, VarBuilder, VarMap};
use gan_kernels::nn;

fn values(shape: &[usize]) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    let v: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect();
    Tensor::from_vec(v, shape, &Device::Cpu)
}

fn difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    let largest = b.abs()?.max_all()?.to_scalar::<f32>()?.max(1.0);
    Ok((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? / largest)
}

/// Checks that both functions of x have the same values and gradients, by x and by every variable.
fn agree(
    x: &[usize],
    map: &VarMap,
    ours: impl Fn(&Tensor) -> Result<Tensor>,
    candles: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<()> {
    let x = Var::from_tensor(&values(x)?)?;
    let y = ours(&x)?;
    let expected = candles(&x)?;
    assert_eq!(y.dims(), expected.dims());
    assert!(difference(&y, &expected)? < 1e-5);
    let weights = values(y.dims())?;
    let grads = (&y * &weights)?.sum_all()?.backward()?;
    let expected = (&expected * &weights)?.sum_all()?.backward()?;
    let mut compared = 0;
    for var in map.all_vars().iter().chain([&x]) {
        match (grads.get(var), expected.get(var)) {
            (Some(ours), Some(candles)) => {
                assert!(difference(ours, candles)? < 1e-4, "{:?}", var.dims());
                compared += 1;
            }
            (ours, candles) => assert_eq!(ours.is_some(), candles.is_some(), "{:?}", var.dims()),
        }
    }
    assert!(compared >= 2, "{compared} gradients compared");
    Ok(())
}

#[test]
fn convolutions_agree() -> Result<()> {
    for (groups, bias) in [(1, true), (2, true), (4, false)] {
        let config = Conv2dConfig { stride: 2, padding: 1, dilation: 1, groups, ..Conv2dConfig::default() };
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let ours = if bias { nn::conv2d } else { nn::conv2d_no_bias }(4, 8, 3, config, vb.clone())?;
        let candles = if bias { candle_nn::conv2d } else { candle_nn::conv2d_no_bias }(4, 8, 3, config, vb)?;
        agree(&[3, 4, 9, 9], &map, |x| ours.forward(x), |x| candles.forward(x))?;
        assert_eq!(ours.weight().dims(), [8, 4 / groups, 3, 3]);
    }
    Ok(())
}

#[test]
fn transposed_convolutions_agree() -> Result<()> {
    let config = ConvTranspose2dConfig { stride: 2, padding: 1, output_padding: 1, dilation: 1 };
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let ours = nn::conv_transpose2d(4, 6, 3, config, vb.clone())?;
    let candles = candle_nn::conv_transpose2d(4, 6, 3, config, vb)?;
    agree(&[2, 4, 5, 5], &map, |x| ours.forward(x), |x| candles.forward(x))
}

#[test]
fn batch_norms_agree() -> Result<()> {
    for shape in [&[6, 5][..], &[3, 5, 7], &[2, 5, 4, 3]] {
        let map = VarMap::new();
        let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
        let config = BatchNormConfig { eps: 1e-4, momentum: 0.2, ..BatchNormConfig::default() };
        let ours = nn::batch_norm(5, config, vb.pp("a"))?;
        let candles = candle_nn::batch_norm(5, config, vb.pp("b"))?;
        let x = Var::from_tensor(&values(shape)?)?;
        for is_training in [true, true, false] {
            let y = ours.forward_t(&x, is_training)?;
            let expected = candles.forward_t(&x, is_training)?;
            assert!(difference(&y, &expected)? < 1e-5, "{shape:?}");
            let weights = values(shape)?;
            let grads = (&y * &weights)?.sum_all()?.backward()?;
            let others = (&expected * &weights)?.sum_all()?.backward()?;
            assert!(difference(grads.get(&x).unwrap(), others.get(&x).unwrap())? < 1e-4, "{shape:?}");
            let weight = |of: &nn::BatchNorm| of.weight_and_bias().unwrap().0.clone();
            let other = candles.weight_and_bias().unwrap().0;
            assert!(difference(grads.get(&weight(&ours)).unwrap(), others.get(other).unwrap())? < 1e-4, "{shape:?}");
        }
        assert!(difference(ours.running_mean(), candles.running_mean())? < 1e-6);
        assert!(difference(ours.running_var(), candles.running_var())? < 1e-6);
        // What is saved from the map is what training updated.
        let saved = map.data().lock().unwrap()["a.running_var"].as_tensor().clone();
        assert_eq!(saved.to_vec1::<f32>()?, ours.running_var().to_vec1::<f32>()?);
    }
    Ok(())
}

#[test]
fn inputs_that_do_not_fit_are_refused() -> Result<()> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let norm = nn::batch_norm(5, 1e-5, vb.pp("norm"))?;
    let problem = norm.forward_t(&values(&[2, 4, 3, 3])?, true).unwrap_err().to_string();
    assert!(problem.contains("has 5 channels, the input [2, 4, 3, 3] has 4"), "{problem}");
    let config = Conv2dConfig { groups: 3, ..Conv2dConfig::default() };
    let conv = nn::conv2d(6, 4, 3, config, vb.pp("conv"))?;
    let problem = conv.forward(&values(&[1, 6, 5, 5])?).unwrap_err().to_string();
    assert!(problem.contains("4 kernels cannot have 3 groups"), "{problem}");
    Ok(())
}
