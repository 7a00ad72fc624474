//! Times convolutions here and in candle, forward and backward, in turn: `against_candle [SAMPLES] [ROUNDS]`.
//!
//! Prints medians in milliseconds and their ratio as a Markdown table. `RAYON_NUM_THREADS=1 CANDLE_NUM_THREADS=1` limits both to one thread.

#![allow(clippy::print_stdout)] // an example says what it finds

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, VarBuilder, VarMap};
use gan_kernels::nn;
use std::time::Instant;

/// A convolution: channels in and out, side of the input, kernel, stride, padding, and whether it is transposed.
const SHAPES: [(usize, usize, usize, usize, usize, usize, bool); 10] = [
    (3, 64, 64, 4, 2, 1, false),
    (64, 128, 32, 4, 2, 1, false),
    (128, 256, 16, 4, 2, 1, false),
    (256, 512, 8, 4, 2, 1, false),
    (64, 64, 32, 3, 1, 1, false),
    (100, 512, 1, 4, 1, 0, true),
    (512, 256, 4, 4, 2, 1, true),
    (256, 128, 8, 4, 2, 1, true),
    (128, 64, 16, 4, 2, 1, true),
    (64, 3, 32, 4, 2, 1, true),
];

fn main() -> Result<()> {
    let number = |at: usize, default: usize| std::env::args().nth(at).map_or(Some(default), |word| word.parse().ok());
    let (Some(samples), Some(rounds)) = (number(1, 64), number(2, 5)) else {
        candle_core::bail!("against_candle [SAMPLES] [ROUNDS]");
    };
    println!("| layer, {samples} samples | forward, ms | candle | | forward and backward, ms | candle | |");
    println!("|---|---|---|---|---|---|---|");
    for shape in SHAPES {
        compare(shape, samples, rounds.max(1))?;
    }
    Ok(())
}

fn compare(shape: (usize, usize, usize, usize, usize, usize, bool), samples: usize, rounds: usize) -> Result<()> {
    let (inputs, outputs, side, kernel, stride, padding, is_transposed) = shape;
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let modules: [Box<dyn Module>; 2] = match is_transposed {
        true => {
            let config = ConvTranspose2dConfig { padding, stride, ..ConvTranspose2dConfig::default() };
            let ours = nn::conv_transpose2d(inputs, outputs, kernel, config, vb.clone())?;
            [Box::new(ours), Box::new(candle_nn::conv_transpose2d(inputs, outputs, kernel, config, vb)?)]
        }
        false => {
            let config = Conv2dConfig { padding, stride, ..Conv2dConfig::default() };
            let ours = nn::conv2d(inputs, outputs, kernel, config, vb.clone())?;
            [Box::new(ours), Box::new(candle_nn::conv2d(inputs, outputs, kernel, config, vb)?)]
        }
    };
    let x = Var::from_tensor(&Tensor::randn(0f32, 1.0, (samples, inputs, side, side), &Device::Cpu)?)?;
    let frozen = x.detach();
    let mut times = [[vec![], vec![]], [vec![], vec![]]];
    for _ in 0..=rounds {
        for (module, [forward, both]) in modules.iter().zip(&mut times) {
            forward.push(milliseconds(|| module.forward(&frozen).map(drop))?);
            both.push(milliseconds(|| module.forward(&x)?.sqr()?.sum_all()?.backward().map(drop))?);
        }
    }
    // The first round warms up.
    let [ours, candles] = times.map(|of| of.map(|times| median(&times[1..])));
    let name = if is_transposed { "transposed" } else { "conv" };
    let row =
        |index: usize| format!("{:.1} | {:.1} | {:.1}×", ours[index], candles[index], candles[index] / ours[index]);
    println!("| {name} {inputs} → {outputs}, {kernel}×{kernel}, of {side}×{side} | {} | {} |", row(0), row(1));
    Ok(())
}

fn milliseconds(f: impl Fn() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    f()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
