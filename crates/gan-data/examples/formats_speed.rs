//! Loads the same images as RGB and as RGBA PNG files, in turn: `formats_speed DIR [COUNT] [ROUNDS]`.
//!
//! Writes the files into DIR/rgb and DIR/rgba first, unless they are there, and also loads DIR/rgb.zip and DIR/rgba.zip if they are. Prints a
//! line for each source and round, and the medians.

#![allow(clippy::print_stdout)] // an example says what it finds

use gan_data::images::{Broken, Fitting, ImageOptions};
use gan_data::{ImageFolder, LastBatch, Loader, Order, Sampler, Sampling};
use image::{DynamicImage, Rgba, RgbaImage};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Side of the files, and side that they are loaded at.
const SIDE: u32 = 128;
const SIZE: usize = 64;
const BATCH: usize = 128;
const WORKERS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(args.first().ok_or("name a folder")?);
    let number = |at: usize, default: usize| args.get(at).map_or(Ok(default), |text| text.parse());
    let [count, rounds] = [number(1, 20_000)?, number(2, 5)?];
    let sources: [(&str, usize); 2] = [("rgb", 3), ("rgba", 4)];
    for (name, channels) in sources {
        if !dir.join(name).exists() {
            fs::create_dir_all(dir.join(name))?;
            (0..count).try_for_each(|n| image(n as u32, channels).save(dir.join(name).join(format!("{n:05}.png"))))?;
        }
    }
    let mut speeds = vec![vec![]; 4];
    for _ in 0..rounds {
        let zipped = |name: &str| format!("{name}.zip");
        let all =
            sources.iter().flat_map(|(name, channels)| [((*name).to_string(), *channels), (zipped(name), *channels)]);
        for ((name, channels), speeds) in all.zip(&mut speeds) {
            let path = dir.join(&name);
            if !path.exists() {
                continue;
            }
            let options = ImageOptions { channels, fitting: Fitting::to([SIZE, SIZE]), broken: Broken::Refuse };
            let opened = Instant::now();
            let data = Arc::new(ImageFolder::open(&path, &options)?);
            let opening = opened.elapsed().as_secs_f64();
            let sampling =
                Sampling { len: count, batch: BATCH, seed: 1, order: Order::Shuffled, last: LastBatch::Drop };
            let mut loader = Loader::new(data, Sampler::new(sampling)?, WORKERS)?;
            let started = Instant::now();
            let batches = count / BATCH;
            (0..batches).try_for_each(|_| loader.next_batch().map(drop))?;
            let speed = (batches * BATCH) as f64 / started.elapsed().as_secs_f64();
            println!("{name}: opened in {opening:.2} s, {speed:.0} images/s");
            speeds.push((speed, name));
        }
    }
    for mut speeds in speeds.into_iter().filter(|speeds| !speeds.is_empty()) {
        speeds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (speed, name) = &speeds[speeds.len() / 2];
        println!("median of {name}: {speed:.0} images/s");
    }
    Ok(())
}

/// A disk of waves with some noise, in front of nothing or of white.
fn image(n: u32, channels: usize) -> DynamicImage {
    let mut state = n.wrapping_mul(0x9e37_79b9) | 1;
    let image = RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wave = |by: u32| 120.0 + 100.0 * (f64::from(x * (1 + (n + by) % 5) + y * by) / 23.0).sin();
        let byte = |by: u32| (wave(by) + f64::from(state >> 24 & 15)) as u8;
        let from_middle = f64::from(x.abs_diff(SIDE / 2).pow(2) + y.abs_diff(SIDE / 2).pow(2)).sqrt();
        let alpha = ((f64::from(SIDE) * 0.45 - from_middle).clamp(0.0, 4.0) / 4.0 * 255.0) as u8;
        Rgba([byte(1), byte(2), byte(3), alpha])
    });
    if channels == 4 { DynamicImage::ImageRgba8(image) } else { DynamicImage::ImageRgba8(image).to_rgb8().into() }
}
