//! `gan train FOLDER`, or an archive or array of images: inspects the images, chooses settings for them, and prints both.

use crate::args::usage;
use crate::print::{self, visible_name};
use crate::train::TrainArgs;
use anyhow::Result;
use gan_base::messages::counted;
use gan_data::images::{Survey, is_collection};
use gan_data::pack::is_pack;
use gan_run::RunFolder;
use gan_train::presets;
use gan_train::recipe::{Choice, RecipeOptions};
use std::path::Path;

/// Returns whether `source` is a folder, an archive or an array of images, and not a run, a pack or a preset.
pub fn is_source(source: &str) -> bool {
    let path = Path::new(source);
    let is_folder = path.is_dir() && !RunFolder::is_run(path) && !is_pack(path);
    (is_folder || is_collection(path)) && presets::find(source).is_none()
}

/// Refuses the arguments that are only for a folder of images.
pub fn refuse_others(args: &TrainArgs) -> Result<()> {
    let given = [("--size", args.size.is_some()), ("--recipe", args.recipe.is_some()), ("--classes", args.classes)];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => {
            Err(usage(name, format_args!("is for a folder of images, but {} is not one: use --set", args.source)))
        }
        None => Ok(()),
    }
}

/// Returns the preset and the settings for the images that `args` name, and prints what was found unless `quiet`.
pub fn choose(args: &TrainArgs, has_gpu: bool, quiet: bool) -> Result<(String, Vec<String>)> {
    if let Some(recipe) = &args.recipe
        && !presets::RECIPES.contains(&recipe.as_str())
    {
        return Err(usage(
            format_args!("--recipe {recipe}"),
            format_args!("expected one of {}", presets::RECIPES.join(", ")),
        ));
    }
    let dir = std::path::absolute(&args.source)?;
    let survey = Survey::of(&dir)?;
    let size = args.size.map(|(height, width)| [height, width]);
    let options = RecipeOptions { size, recipe: args.recipe.clone(), by_class: args.classes, has_gpu };
    let choice = Choice::of(&dir, &survey, &options)?;
    if !quiet {
        found(&args.source, &survey).iter().for_each(print::note);
        chosen(&choice).iter().for_each(print::note);
    }
    Ok((choice.preset, choice.settings.into_iter().map(|setting| setting.assignment).collect()))
}

/// Describes the images, in one line for each finding.
fn found(source: &str, survey: &Survey) -> Vec<String> {
    let channels = survey.recommended_channels();
    let kind = match channels {
        1 => "gray ",
        3 => "color ",
        4 => "transparent ",
        _ => "",
    };
    let images = counted(survey.images, &format!("{kind}image"));
    let ([height, width], count) = survey.most_common_size;
    let size = match survey.sizes {
        1 => format!("all {width}×{height}"),
        sizes => format!(
            "{sizes} sizes from {}×{} to {}×{}, {} of them {width}×{height}",
            survey.width.min, survey.height.min, survey.width.max, survey.height.max, count
        ),
    };
    let mut lines = vec![format!("{}: {images}, {size}", visible_name(source))];
    let mut add = |line: String| lines.push(format!("  {line}"));
    match (&survey.classes[..], &survey.no_classes) {
        ([], Some(why)) => add(format!("no classes: {}", visible_name(why))),
        ([], None) => {}
        (classes, _) => {
            let most = classes.iter().take(8).map(|(name, count)| format!("{} {count}", visible_name(name)));
            let more = if classes.len() > 8 { ", …" } else { "" };
            add(format!("{}: {}{more}", counted(classes.len(), "class"), most.collect::<Vec<_>>().join(", ")));
        }
    }
    if survey.array_channels.is_some() && kind.is_empty() {
        add(format!("{channels} channels"));
    }
    if survey.deep > 0 {
        add(format!("{} with more than 8 bits per channel are rounded to 8", counted(survey.deep, "image")));
    }
    let copies = survey.images - survey.different;
    if copies > 0 {
        add(format!("{} of others", counted(copies, "exact copy")));
    }
    let sample = &survey.sample;
    let among = |count: usize, what: &str| format!("{count} of {} {what}", counted(sample.images, "decoded image"));
    if sample.near_duplicates * 50 > sample.images {
        add(among(sample.near_duplicates, "look like another one"));
    }
    if sample.grey_as_rgb * 20 > sample.images {
        add(among(sample.grey_as_rgb, "hold colors but are gray"));
    }
    if sample.invisible > 0 {
        add(among(sample.invisible, "show nothing, because all pixels are transparent"));
    }
    let broken = survey.broken.iter().chain(&sample.broken);
    let count = broken.clone().count();
    if let Some(first) = broken.clone().next() {
        let path = first.path.to_string_lossy();
        add(format!(
            "{} left out, e.g. {}: {}",
            counted(count, "unreadable file"),
            visible_name(&path),
            visible_name(&first.reason)
        ));
    }
    survey.warnings.iter().for_each(|warning| add(visible_name(warning).into_owned()));
    lines
}

/// Describes the chosen settings with their reasons.
fn chosen(choice: &Choice) -> Vec<String> {
    let mut lines = vec![format!("chosen: the recipe {} (gan preset show {0}), with", choice.preset)];
    let settings = choice.settings.iter();
    let width =
        settings.clone().map(|setting| setting.assignment.chars().count()).filter(|n| *n < 40).max().unwrap_or(0);
    lines.extend(settings.map(|setting| match setting.reason.as_str() {
        "" => format!("  {}", visible_name(&setting.assignment)),
        reason => format!("  {:<width$}  {reason}", setting.assignment),
    }));
    lines.extend(choice.advice.iter().map(|advice| format!("note: {advice}")));
    lines
}
