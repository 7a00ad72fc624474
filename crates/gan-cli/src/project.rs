//! `gan project`.

use crate::args::{ProjectArgs, Usage};
use crate::output::{Form, Output};
use crate::quoting::visible_name;
use crate::{say, source};
use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_core::Generator;
use gan_data::images::{Fitting, open};
use gan_data::npy::{self, ImageArray, NpyFile};
use gan_report::NpyWriter;
use gan_run::pictures;
use gan_run::project::{Search, project};
use std::path::Path;

/// Finds the latent vectors of images, and shows each image beside the generator's closest sample.
pub fn run(args: &ProjectArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Png])?;
    let latents_out = args.latents_out.as_ref();
    let latents_out = latents_out.map(|path| Output::new("--latents-out", path, &[Form::Npy])).transpose()?;
    let weights = source::weight_file(&args.source)?;
    for output in [Some(&out), latents_out.as_ref()].into_iter().flatten() {
        output.keep_apart_from(args.images.iter().chain([&weights]).map(|path| path.as_path()))?;
    }
    if let Some(latents) = &latents_out {
        latents.keep_apart_from_output(&out)?;
    }
    let (description, generator, device) = source::generator(&args.source, &args.device)?;
    let shape = &description.data.shape;
    let [c, h, w] = shape[..] else {
        return Err(Usage(format!("{}: makes points, images can be projected", args.source.display())).into());
    };
    let class = args.class.as_ref().map(|name| source::class(&description, &generator, name)).transpose()?;
    // Every file is read before the first image is projected, which takes long.
    let mut given = vec![];
    for path in &args.images {
        given.extend(images(path, [c, h, w])?);
    }
    if given.is_empty() {
        return Err(Usage("there are no images to project".into()).into());
    }
    pictures::check_sheet(shape, given.len(), 2)
        .map_err(|error| Usage(format!("--out: a sheet of {}: {error}", counted(given.len(), "image"))))?;
    // Every class needs a start.
    let starts = args.starts.max(generator.classes().filter(|_| class.is_none()).unwrap_or(1));
    let search = Search { starts, steps: args.steps, seed: args.seed, class, ..Search::default() };
    let (mut pairs, mut latents) = (vec![], vec![]);
    for Given { name, image } in given {
        let found = project(&generator, &description.latent, &image, search, &device).with_context(|| name.clone())?;
        let class = found.class.map(|class| format!(", class {}", named(&description.data.classes, class)));
        let name = visible_name(&name);
        let class = class.unwrap_or_default();
        say::line(format_args!("{name}: mean squared difference {:.4}{class}", found.difference))?;
        pairs.extend([image, found.sample.to_device(&Device::Cpu)?]);
        latents.push(found.z.to_device(&Device::Cpu)?);
    }
    if let Some(output) = &latents_out {
        write_latents(&latents, output.path())?;
        say::line(output.path().display())?;
    }
    pictures::sheet(&Tensor::stack(&pairs, 0)?, None, latents.len(), 2)?.save_png(out.path())?;
    say::line(format_args!("{} (left: given, right: made)", out.path().display()))
}

/// Writes float32 `[N, latent]`.
fn write_latents(latents: &[Tensor], out: &Path) -> Result<()> {
    let dim = latents.first().map_or(Ok(0), |z| z.dim(0))?;
    let mut file = NpyWriter::create(out, &[latents.len(), dim])?;
    for z in latents {
        file.write(&z.to_vec1::<f32>()?)?;
    }
    Ok(file.finish()?)
}

fn named(names: &[String], class: u32) -> String {
    names.get(class as usize).map_or_else(|| class.to_string(), |name| visible_name(name).into_owned())
}

/// An image to project.
struct Given {
    /// Name of its file and, in an array of several, its index.
    name: String,
    /// `[C, H, W]`
    image: Tensor,
}

/// Reads the images in a file: one, or all of a .npy.
fn images(path: &Path, [c, h, w]: [usize; 3]) -> Result<Vec<Given>> {
    let shown = path.display();
    if npy::is_array(path) {
        let mut array = ImageArray::of(NpyFile::open(path)?, None, Some([c, h, w]))?;
        let count = array.count();
        let name = |i: usize| if count == 1 { shown.to_string() } else { format!("{shown}, image {i}") };
        let image = |i| {
            let image = Tensor::from_vec(array.read(i, 1)?, (c, h, w), &Device::Cpu)?;
            Ok(Given { name: name(i), image })
        };
        return (0..count).map(image).collect();
    }
    if !path.exists() {
        anyhow::bail!(
            "{shown}: cannot be read (there is no such file); expected an image (PNG, JPEG, WebP, GIF, BMP) or a .npy"
        );
    }
    let fitting = Fitting { background: [0; 3], ..Fitting::to([h, w]) };
    let pixels = open(path, c, &fitting).map_err(|problem| {
        anyhow::anyhow!("{shown}: {problem}; expected an image (PNG, JPEG, WebP, GIF, BMP) or a .npy")
    })?;
    let mut values = vec![0.0; c * h * w];
    pixels.scale_into(&mut values);
    let image = Tensor::from_vec(values, (c, h, w), &Device::Cpu)?;
    Ok(vec![Given { name: shown.to_string(), image }])
}
