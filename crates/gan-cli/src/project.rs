//! `gan project`.

use crate::args::{MOST, Usage, count, usage, whole};
use crate::interpolate::{self, Subject};
use crate::output::{Form, Output};
use crate::print::{self, visible_name};
use crate::source;
use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::Args;
use gan_base::messages::counted;
use gan_core::{Generator, check_finite};
use gan_data::images::{Fitting, open};
use gan_data::npy::{self, ImageArray, NpyFile};
use gan_report::{NpyWriter, Picture};
use gan_run::image_distance::ImageDistance;
use gan_run::project::{Projected, Search, project};
use gan_run::{RunFolder, pictures};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  gan project runs/first seven.png --out seven-again.png\n  gan project generator.safetensors digits.npy --latents-out z.npy\n  gan project runs/first one.jpg two.jpg three.jpg --walk faces.webp"
)]
pub struct ProjectArgs {
    /// A run folder or a generator's weight file.
    #[arg(value_name = "RUN or FILE.safetensors")]
    pub source: PathBuf,
    /// Images (PNG, JPEG, WebP, GIF, BMP; fitted to the generator's size), or .npy files of float32 [N, C, H, W] in the data's range.
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// Sheet to write: each image, and beside it the generator's closest sample.
    #[arg(long, value_name = "FILE.png", default_value = "projected.png")]
    pub out: PathBuf,
    /// File for the latent vectors, float32 [N, latent], as input of `gan generate --latents`.
    #[arg(long, value_name = "Z.npy")]
    pub latents_out: Option<PathBuf>,
    /// Distance to minimize: pixels, pyramid (details of each size), or features (and those of the run's discriminator) [default: features
    /// with a run's folder, or else pyramid].
    #[arg(long, value_name = "NAME")]
    pub distance: Option<Kind>,
    /// Animation to write (.gif, .png, .webp or .mp4): a loop through the found samples, or for a single image the search.
    #[arg(long, value_name = "FILE")]
    pub walk: Option<PathBuf>,
    /// Class to search in, by name, or by number if no class has a number as its name [default: all].
    #[arg(long, value_name = "C", allow_negative_numbers = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub class: Option<String>,
    /// Number of random starts for each image.
    #[arg(long, value_name = "N", default_value_t = 20, allow_negative_numbers = true, value_parser = count(1, 1000))]
    pub starts: usize,
    /// Number of steps from each start.
    #[arg(long, value_name = "N", default_value_t = 300, allow_negative_numbers = true, value_parser = whole(1, 100_000))]
    pub steps: u64,
    /// Seed of the starts.
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: u64,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// Distance to minimize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Pixels,
    Pyramid,
    Features,
}

/// Finds the latent vectors of images, and shows each image beside the generator's closest sample.
pub fn run(args: &ProjectArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Png])?;
    let latents_out = args.latents_out.as_ref();
    let latents_out = latents_out.map(|path| Output::new("--latents-out", path, &[Form::Npy])).transpose()?;
    let walk = args.walk.as_ref();
    let walk =
        walk.map(|path| Output::new("--walk", path, &[Form::Gif, Form::WebP, Form::Mp4, Form::Png])).transpose()?;
    walk.iter().try_for_each(|walk| interpolate::check(walk, FPS))?;
    let weights = source::weight_file(&args.source)?;
    let outputs = [Some(&out), latents_out.as_ref(), walk.as_ref()];
    let outputs: Vec<&Output> = outputs.into_iter().flatten().collect();
    for (i, output) in outputs.iter().enumerate() {
        output.keep_apart_from(args.images.iter().chain([&weights]).map(|path| path.as_path()))?;
        outputs[..i].iter().try_for_each(|other| output.keep_apart_from_output(other))?;
    }
    let (description, generator, device) = source::generator(&args.source, &args.device)?;
    let shape = &description.data.shape;
    let [c, h, w] = shape[..] else {
        return Err(usage(args.source.display(), "makes points, images can be projected"));
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
        .map_err(|error| usage("--out", format_args!("a sheet of {}: {error}", counted(given.len(), "image"))))?;
    // Every class needs a start.
    let starts = args.starts.max(generator.classes().filter(|_| class.is_none()).unwrap_or(1));
    let search = Search { starts, steps: args.steps, seed: args.seed, class, ..Search::default() };
    if walk.is_some() && given.len() > 1 && class.is_none() && generator.classes().is_some() {
        return Err(usage("--walk", "leads through samples of one class: name it by --class"));
    }
    let distance = distance(args, shape, &device)?;
    let (names, given): (Vec<String>, Vec<Tensor>) = given.into_iter().map(|given| (given.name, given.image)).unzip();
    let all = Tensor::stack(&given, 0)?;
    check_finite(&all, |row| names[row].clone())?;
    let found = project(&generator, &description.latent, &all, search, &distance, &device)?;
    let (mut pairs, mut latents) = (vec![], vec![]);
    for ((name, image), found) in names.iter().zip(&given).zip(&found) {
        let class = found.class.map(|class| format!(", class {}", named(&description.data.classes, class)));
        let measured =
            format!("mean squared difference {:.4}, structural similarity {:.3}", found.difference, found.similarity);
        print::line(format_args!("{}: {measured}{}", visible_name(name), class.unwrap_or_default()))?;
        pairs.extend([image.clone(), found.sample.clone()]);
        latents.push(found.z.to_device(&Device::Cpu)?);
    }
    if let Some(output) = &latents_out {
        let latents = Tensor::stack(&latents, 0)?;
        let mut file = NpyWriter::create(&output.path, latents.dims())?;
        file.write(&latents.flatten_all()?.to_vec1::<f32>()?)?;
        file.finish()?;
        print::line(output.path.display())?;
    }
    if let Some(output) = &walk {
        let subject = Subject { description: &description, generator: &generator, device: &device };
        let frames = walk_frames(&subject, &given, &found)?;
        interpolate::save(&frames, output.form, FPS, None, &output.path)?;
    }
    pictures::sheet(&Tensor::stack(&pairs, 0)?, None, latents.len(), 2)?.save_png(&out.path)?;
    print::line(format_args!("{} (left: given, right: made)", out.path.display()))
}

/// Returns the distance that `--distance` names. By default, a run without a usable discriminator falls back to the pyramid.
fn distance(args: &ProjectArgs, shape: &[usize], device: &Device) -> Result<ImageDistance> {
    let pyramid = || Ok(ImageDistance::pyramid(shape, device)?);
    let features = || -> Result<ImageDistance> {
        let discriminator = source::discriminator(&args.source, shape, device)?;
        Ok(ImageDistance::features(&discriminator, shape, device)?)
    };
    match args.distance {
        Some(Kind::Pixels) => Ok(ImageDistance::Pixels),
        Some(Kind::Features) => features(),
        None if RunFolder::is_run(&args.source) => features().or_else(|error| {
            print::note(format_args!("note: {error}; images are compared by --distance pyramid"));
            pyramid()
        }),
        Some(Kind::Pyramid) | None => pyramid(),
    }
}

/// Frames per second of a walk, and its frames from each sample to the next.
const FPS: usize = 20;
const LEG: usize = 30;

/// Draws a loop through the found samples, or for a single image the search beside the image.
fn walk_frames(subject: &Subject, given: &[Tensor], found: &[Projected]) -> Result<Vec<Picture>> {
    let class = found[0].class;
    if let [found] = found {
        let path = &found.path;
        let classes = class.map(|class| Tensor::full(class, path.dim(0)?, subject.device)).transpose()?;
        let image = pictures::singles(&given[0].unsqueeze(0)?, None)?.remove(0);
        let beside = |made: Picture| Ok(gan_report::strip(&[image.clone(), made])?);
        return subject.pictures(path, classes.as_ref())?.into_iter().map(beside).collect();
    }
    let keys = found.iter().map(|found| found.z.to_vec1()).collect::<candle_core::Result<Vec<Vec<f32>>>>()?;
    let path = subject.description.latent.closed_path(None, &keys, LEG * keys.len());
    interpolate::closed_loop(subject, &[path], 1, |_| class)
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
    let fitting = Fitting { background: [0; 3], ..Fitting::to([h, w]) };
    let pixels = match path.exists() {
        true => open(path, c, &fitting),
        false => Err("cannot be read (there is no such file)".into()),
    };
    let expected = "expected an image (PNG, JPEG, WebP, GIF, BMP) or a .npy";
    let pixels = pixels.map_err(|problem| anyhow::anyhow!("{shown}: {problem}; {expected}"))?;
    let mut values = vec![0.0; c * h * w];
    pixels.scale_into(&mut values);
    let image = Tensor::from_vec(values, (c, h, w), &Device::Cpu)?;
    Ok(vec![Given { name: shown.to_string(), image }])
}
