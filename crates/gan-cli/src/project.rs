//! `gan project`.

use crate::args::{ProjectArgs, Usage};
use crate::{say, source};
use anyhow::Result;
use candle_core::{Device, Tensor};
use gan_core::Generator;
use gan_data::images::{Fitting, decode, fit};
use gan_data::npy::{self, ImageArray};
use gan_train::pictures;
use gan_train::project::{Search, project};
use std::path::Path;

/// Finds the latent vectors of images, and shows each beside what the generator makes of it.
pub fn run(args: &ProjectArgs) -> Result<()> {
    let (description, generator, device) = source::generator(&args.source, &args.device)?;
    let shape = &description.data.shape;
    let [c, h, w] = shape[..] else {
        return Err(Usage(format!("{}: makes points, images can be projected", args.source.display())).into());
    };
    let class = args.class.as_ref().map(|name| source::class(&description, &generator, name)).transpose()?;
    // Every class has to have a start.
    let starts = args.starts.max(generator.classes().filter(|_| class.is_none()).unwrap_or(1));
    let search = Search { starts, steps: args.steps, seed: args.seed, class, ..Search::default() };
    let (mut pairs, mut latents) = (vec![], vec![]);
    for path in &args.images {
        for image in images(path, [c, h, w])? {
            let found = project(&generator, &description.latent, &image, search, &device)?;
            let class = found.class.map(|class| format!(", class {}", named(&description.data.classes, class)));
            say::line(format_args!(
                "{}: mean squared difference {:.4}{}",
                path.display(),
                found.difference,
                class.unwrap_or_default()
            ))?;
            pairs.extend([image, found.sample.to_device(&Device::Cpu)?]);
            latents.push(found.z.to_device(&Device::Cpu)?);
        }
    }
    let rows = latents.len();
    if rows == 0 {
        return Err(Usage("there are no images to project".into()).into());
    }
    if let Some(out) = &args.latents_out {
        Tensor::stack(&latents, 0)?.write_npy(out)?;
        say::line(out.display())?;
    }
    pictures::sheet(&Tensor::stack(&pairs, 0)?, None, rows, 2)?.save_png(&args.out)?;
    say::line(format_args!("{} (left: given, right: made)", args.out.display()))
}

fn named(names: &[String], class: u32) -> String {
    names.get(class as usize).cloned().unwrap_or_else(|| class.to_string())
}

/// The images `[C, H, W]` in a file: one, or all of a .npy.
fn images(path: &Path, [c, h, w]: [usize; 3]) -> Result<Vec<Tensor>> {
    if npy::is_array(path) {
        let mut array = ImageArray::open_as(path, [c, h, w])?;
        let count = array.len();
        let image = |i| Ok(Tensor::from_vec(array.read(i, 1)?, (c, h, w), &Device::Cpu)?);
        return (0..count).map(image).collect();
    }
    let bytes = std::fs::read(path).map_err(|e| anyhow::anyhow!("{}: cannot be read ({e})", path.display()))?;
    let pixels = decode(&bytes, c, [0; 3]).map_err(|problem| {
        anyhow::anyhow!("{}: {problem}; expected an image (PNG, JPEG, WebP, GIF, BMP) or a .npy", path.display())
    })?;
    let mut values = vec![0.0; c * h * w];
    fit(&pixels, &Fitting::to([h, w])).scale_into(&mut values);
    Ok(vec![Tensor::from_vec(values, (c, h, w), &Device::Cpu)?])
}
