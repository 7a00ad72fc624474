//! `gan push`: a run on the Hugging Face Hub.

use crate::args::usage;
use anyhow::Result;
use clap::Args;
use gan_run::RunFolder;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "It sends the best generator, or the last one if the run was not evaluated, the same generator as ONNX, a sheet of samples, the settings without folder names, the figures, and a README.md that replaces an earlier one. Only what changed is sent.\n\nExamples:\n  HF_TOKEN=hf_… gan push runs/faces julia/faces\n  gan push runs/faces julia/faces --private --license cc-by-4.0\n  gan generate hub:julia/faces --out faces.png"
)]
pub struct PushArgs {
    /// A run folder.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Repository on the Hub; it is created if it does not exist.
    #[arg(value_name = "OWNER/NAME")]
    pub repository: String,
    /// Create a repository that only its owner sees.
    #[arg(long)]
    pub private: bool,
    /// License of the weights, as the Hub names it, such as mit or cc-by-4.0.
    #[arg(long, value_name = "LICENSE", value_parser = license)]
    pub license: Option<String>,
}

fn license(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Ok(text.to_lowercase()),
        false => Err("expected a name such as mit, apache-2.0 or cc-by-4.0".into()),
    }
}

/// Uploads the run.
pub fn run(args: &PushArgs, quiet: bool) -> Result<()> {
    if !RunFolder::is_run(&args.run) {
        let problem = "holds no run: there is no config.toml written by gan train. Name a run's folder";
        return Err(usage(args.run.display(), problem));
    }
    push(args, &weights(&args.run)?, quiet)
}

/// Returns the run's best generator, or its last one.
fn weights(run: &Path) -> Result<PathBuf> {
    let best = run.join(RunFolder::BEST);
    if best.is_file() { Ok(best) } else { crate::source::weight_file(run) }
}

#[cfg(not(feature = "hub"))]
fn push(args: &PushArgs, _: &Path, _: bool) -> Result<()> {
    let problem = "this build of gan has no feature \"hub\" and cannot upload: build it with its default features";
    Err(usage(format_args!("gan push {}", args.repository), problem))
}

#[cfg(feature = "hub")]
fn push(args: &PushArgs, weights: &Path, quiet: bool) -> Result<()> {
    use crate::print;
    use crate::progress::Meter;
    use gan_base::messages::counted;
    use gan_hub::{Change, Environment, Hub, Upload};

    let repository = crate::source::model(&args.repository)?;
    let hub = Hub::new(Environment::of_this_process())?;
    let files = files(args, weights)?;
    if !quiet {
        print::note(format_args!("{} to {repository} at {}", args.run.display(), hub.environment().endpoint));
    }
    let upload = Upload { title: "Upload a generator trained by gan".into(), files, is_private: args.private };
    let mut meter = Meter::new(quiet);
    let uploaded = hub.upload(&repository, &upload, &mut |file, done, total| meter.show(file, done, total, "byte"));
    meter.end();
    let uploaded = uploaded?;
    let changed: Vec<&str> =
        uploaded.files.iter().filter(|file| file.1 != Change::Same).map(|file| file.0.as_str()).collect();
    match changed.len() {
        0 => print::line(format_args!(
            "{}: it had the same {} already",
            uploaded.page,
            counted(uploaded.files.len(), "file")
        )),
        _ => print::line(format_args!("{}: {}", uploaded.page, changed.join(", "))),
    }
}

/// Returns the files of the repository.
#[cfg(feature = "hub")]
fn files(args: &PushArgs, weights: &Path) -> Result<Vec<(String, gan_hub::Content)>> {
    use candle_core::{Device, Tensor};
    use gan_base::Rng;
    use gan_core::Generator;
    use gan_hub::Content;
    use gan_run::{ModelCard, RunSummary, pictures};

    const SIDE: usize = 8;
    let (about, generator) = gan_core::weights::read_generator(weights, &Device::Cpu)?;
    let summary = RunSummary::of(&args.run, None);
    let z = about.latent.sample(SIDE * SIDE, &mut Rng::new(1), &Device::Cpu)?;
    // A column for each class, as far as they go.
    let class = |known: usize| Tensor::from_iter((0..SIDE * SIDE).map(|i| (i % SIDE % known) as u32), &Device::Cpu);
    let classes = generator.classes().map(class).transpose()?;
    let samples = gan_core::samples(&generator, &z, classes.as_ref())?;
    let sheet = pictures::sheet(&samples, crate::source::units(&about).as_ref(), SIDE, SIDE)?;
    let model = gan_export::Model { network: gan_export::Network::Generator(generator), description: about.clone() };
    let onnx = gan_export::Format::named("onnx").map(|format| (format.files)(&model, Path::new("generator.onnx")));
    let has_onnx = matches!(onnx, Some(Ok(_)));
    let card = ModelCard {
        repository: &args.repository,
        about: &about,
        summary: &summary,
        licence: args.license.as_deref(),
        has_onnx,
    };
    let mut files = vec![
        ("README.md".to_string(), Content::Bytes(card.markdown().into_bytes())),
        ("generator.safetensors".into(), Content::File(weights.to_path_buf())),
        ("samples.png".into(), Content::Bytes(sheet.to_png()?)),
        ("config.toml".into(), Content::Bytes(settings(&args.run)?.into_bytes())),
    ];
    if let Some(best) = &summary.best {
        let mut card = best.card.clone();
        // The folder's name on this machine means nothing elsewhere.
        card.subject = args.repository.clone();
        files.push(("evaluation.json".into(), Content::Bytes(serde_json::to_vec_pretty(&card)?)));
    }
    match onnx {
        Some(Ok(exported)) => {
            files.extend(exported.into_iter().map(|file| ("generator.onnx".into(), Content::Bytes(file.bytes))));
        }
        Some(Err(error)) => crate::print::note(format_args!("no generator.onnx: {error}")),
        None => {}
    }
    Ok(files)
}

/// Returns the run's settings without the names of folders.
#[cfg(feature = "hub")]
fn settings(run: &Path) -> Result<String> {
    let mut table = gan_train::layering::from_file(&run.join("config.toml"))?;
    if let Some(toml::Value::Table(data)) = table.get_mut("data") {
        data.remove("dir");
    }
    Ok(toml::to_string(&table)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_names() {
        assert_eq!(license("CC-BY-4.0"), Ok("cc-by-4.0".into()));
        assert!(license("mit\nx: 1").is_err() && license("").is_err());
    }
}
