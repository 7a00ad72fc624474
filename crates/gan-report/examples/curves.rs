//! Draws a made-up GAN run into the folder given as first argument: `cargo run -p gan-report --example curves -- /tmp`.

use std::{env, fs, path::PathBuf};

use gan_report::{Error, plot::losses_figure};

/// 20,000 logged steps of a run with the noise of a real one, from a small linear congruential generator.
fn metrics() -> String {
    let mut state = 1u64;
    let mut noise = move || {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        next() + next() + next()
    };
    let line = |step: u32, noise: &mut dyn FnMut() -> f64| {
        let t = f64::from(step) / 100_000.0;
        let skill = 1.0 - (-t * 6.0).exp();
        let spike = if step.is_multiple_of(26_500) { 9.0 } else { 0.0 };
        let loss_d = 1.38 - 0.55 * skill + 0.28 * noise() + spike / 3.0;
        let loss_g = 0.7 + 1.4 * skill + 0.5 * (t * 20.0).sin() * (1.0 - t) + 0.8 * noise() + spike;
        let d_real = (0.5 + 0.25 * skill + 0.09 * noise()).clamp(0.0, 1.0);
        let d_fake = (0.5 - 0.22 * skill + 0.09 * noise()).clamp(0.0, 1.0);
        let after = d_fake * (0.55 + 0.05 * noise());
        let right = (0.5 + 0.35 * skill + 0.06 * noise()).clamp(0.0, 1.0);
        format!(
            "{{\"step\":{step},\"loss_d\":{loss_d},\"loss_g\":{loss_g},\"d_real\":{d_real},\
             \"d_fake_before\":{d_fake},\"d_fake_after\":{after},\"accuracy_d\":{right}}}\n"
        )
    };
    (1..=20_000).map(|logged| line(logged * 5, &mut noise)).collect()
}

fn main() -> Result<(), Error> {
    let folder = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| "target".into()));
    let path = folder.join("curves.jsonl");
    let written = fs::write(&path, metrics());
    written.map_err(gan_base::FileError::of("write", &path))?;
    let figure = losses_figure(&path)?;
    figure.save_png(&folder.join("curves.png"), figure.suggested_size())?;
    figure.save_svg(&folder.join("curves.svg"), figure.suggested_size())
}
