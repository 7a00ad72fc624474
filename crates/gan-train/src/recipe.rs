//! Settings for your own images, chosen by what the images are and where they are trained on.
//!
//! A recipe is a preset, and the settings that depend on the images. Each setting comes with its reason, for people.

use crate::error::{Error, Result};
use crate::presets::OWN_IMAGES;
use gan_base::messages::counted;
use gan_data::images::Survey;
use gan_kernels::Level;
use std::path::Path;

/// The sides that are chosen. R3GAN's networks make only powers of two.
const SIDES: [usize; 8] = [16, 24, 28, 32, 48, 64, 96, 128];
/// The side on a CPU, unless the options name another.
const SIDE_ON_CPU: usize = 64;
/// With fewer different images, a message says that they are few.
const FEW: usize = 500;
/// Number of different images from which no augmentation is needed.
const MANY: usize = 20_000;
/// The batch, if there are enough images.
const BATCH: usize = 64;
/// Fewest images of a class, on average, for a generator by class.
const FEWEST_OF_CLASS: usize = 50;

/// Choices that the user has made.
#[derive(Clone, Debug, Default)]
pub struct RecipeOptions {
    /// Height and width of samples.
    pub size: Option<[usize; 2]>,
    /// Name of a recipe or another preset for images.
    pub recipe: Option<String>,
    /// Whether class folders become classes of the generator.
    pub by_class: bool,
    /// Whether there is a GPU to train on.
    pub has_gpu: bool,
}

/// A preset, and settings over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Name of the preset.
    pub preset: String,
    /// Settings, in the order in which they are merged over the preset.
    pub settings: Vec<Setting>,
    /// What a user should know before it starts.
    pub advice: Vec<String>,
}

/// A setting, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `KEY=VALUE`.
    pub assignment: String,
    /// The reason, for people; empty where the setting speaks for itself.
    pub reason: String,
}

impl Choice {
    /// Chooses settings for the images in `dir`.
    ///
    /// # Errors
    /// If there are not at least two different images.
    pub fn of(dir: &Path, survey: &Survey, options: &RecipeOptions) -> Result<Self> {
        let shown = dir.display();
        let refused = |problem: String| Err(Error::config(shown.to_string(), problem));
        match (survey.images, survey.different) {
            (0, _) if survey.broken.is_empty() => {
                return refused("holds neither images nor a run: name a folder of images, or a run's folder, which has a config.toml".into());
            }
            (0, _) => {
                let broken = counted(survey.broken.len(), "image");
                return refused(format!("holds {broken}, but none can be read: gan data inspect {shown} lists them"));
            }
            (1, _) => {
                return refused(
                    "holds one image: a GAN learns what many have in common, some hundreds at least".into(),
                );
            }
            (images, 1) => {
                return refused(format!("holds {images} images, which are all the same: add different ones"));
            }
            _ => {}
        }
        if survey.sample.images > 0 && survey.sample.invisible == survey.sample.images {
            return refused("holds images that show nothing, because all of their pixels are transparent: save them with an alpha channel that is not 0, or without one".into());
        }
        let mut choice = Self {
            preset: options.recipe.clone().unwrap_or_else(|| OWN_IMAGES.into()),
            settings: vec![],
            advice: vec![],
        };
        choice.set(format!("data.dir={}", toml_string(&shown.to_string())), "");
        let is_augmented = choice.preset == OWN_IMAGES && survey.different < MANY;
        choice.size(survey, options);
        choice.channels(survey);
        let classes = survey.classes.len();
        if options.by_class {
            choice.classes(survey)?;
        } else if classes > 1 && survey.images / classes >= FEWEST_OF_CLASS {
            let names = counted(classes, "subfolder");
            choice
                .advice
                .push(format!("{names} could be classes: add --classes for a generator that makes each on demand"));
        }
        let batch = BATCH.min(survey.images / 2 * 2).max(2);
        choice.set(format!("train.batch={batch}"), if batch < BATCH { "there are not more images" } else { "" });
        if is_augmented {
            choice.augmentation(survey);
        }
        if choice.preset == OWN_IMAGES && !options.has_gpu && Level::current() != Level::Avx512Bf16 {
            choice.set("train.precision=\"f32\"".into(), "this processor has no bf16 instructions");
        }
        if survey.different < FEW {
            choice.advice.push(format!(
                "{} are few: expect samples close to them; begin with trained weights (--from FILE) or add images",
                counted(survey.different, "different image")
            ));
        }
        Ok(choice)
    }

    fn set(&mut self, assignment: String, reason: impl Into<String>) {
        self.settings.push(Setting { assignment, reason: reason.into() });
    }

    fn size(&mut self, survey: &Survey, options: &RecipeOptions) {
        let middle = survey.shorter_side.median;
        let most = if options.has_gpu { SIDES[SIDES.len() - 1] } else { SIDE_ON_CPU };
        let can_be = |side: &usize| *side <= middle.min(most) && (self.preset == OWN_IMAGES || side.is_power_of_two());
        let fitting = SIDES.into_iter().filter(can_be).max();
        let side = fitting.unwrap_or(SIDES[0]);
        let [height, width] = options.size.unwrap_or([side; 2]);
        let reason = match options.size {
            Some(_) => "as you say".into(),
            None if side == most => {
                let larger = if middle >= 2 * most { "; larger ones take four times as long (--size)" } else { "" };
                format!("the usual size on {}{larger}", if options.has_gpu { "a GPU" } else { "a CPU" })
            }
            None => format!("half of the images are at most {middle} pixels wide or high"),
        };
        self.set(format!("data.size=[{height}, {width}]"), reason);
        let shape = width as f64 / height as f64;
        let cut = 1.0 - (survey.aspect.median / shape).min(shape / survey.aspect.median);
        if cut > 0.2 {
            self.advice.push(format!(
                "the usual image loses {:.0} % at its sides: --set data.fit=pad keeps all of it",
                100.0 * cut
            ));
        }
        let enlarged = survey.shorter_side.min < height.min(width);
        if enlarged {
            let smallest = survey.shorter_side.min;
            self.set("data.small=\"upscale\"".into(), format!("some images are smaller, down to {smallest} pixels"));
        }
    }

    fn channels(&mut self, survey: &Survey) {
        let channels = survey.recommended_channels();
        let sample = &survey.sample;
        let reason = match channels {
            1 => "the images are gray".into(),
            4 => format!("{} of {} decoded images have transparent pixels", sample.uses_alpha, sample.images),
            2 | 5.. => "those of the array".into(),
            _ => String::new(),
        };
        self.set(format!("data.channels={channels}"), reason);
        if channels == 4 && survey.array_channels.is_none() {
            self.advice.push(
                "the generator learns alpha too; --set data.channels=3 lays the images over data.background instead, which is white by default".into(),
            );
        }
    }

    fn classes(&mut self, survey: &Survey) -> Result<()> {
        let count = survey.classes.len();
        if count < 2 {
            let why = survey.no_classes.clone().unwrap_or_else(|| "all images are in one folder".into());
            return Err(Error::config("--classes", format!("there are no classes: {why}")));
        }
        for network in ["generator", "discriminator"] {
            self.set(
                format!("{network}.classes={count}"),
                if network == "generator" { "one for each folder" } else { "" },
            );
        }
        Ok(())
    }

    /// Chooses the augmentation.
    fn augmentation(&mut self, survey: &Survey) {
        let different = survey.different;
        let reason = format!("{different} different images are few enough for D to remember them");
        let has_colors = matches!(survey.recommended_channels(), 1 | 3 | 4);
        if has_colors {
            self.set("augment.color=true".into(), reason.clone());
        } else {
            self.advice.push("augment.color is left out: these channels are not colors".into());
        }
        self.set("augment.translation=0.125".into(), if has_colors { String::new() } else { reason });
        self.set("augment.cutout=0.5".into(), "");
        self.set("augment.probability=0".into(), "");
        self.set("augment.adaptive=0.6".into(), "as much as keeps D from knowing the images by heart");
        self.set("augment.adaptive_images=100000".into(), "");
    }
}

/// Returns `text` as a string in TOML.
fn toml_string(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_data::images::{ChannelCounts, Range, Sample};

    /// Returns a survey of `different` different images in colour, with sides around `side`.
    fn survey(different: usize, side: usize) -> Survey {
        let range = Range { min: side, median: side, max: side };
        Survey {
            images: different,
            different,
            shorter_side: range,
            height: range,
            width: range,
            aspect: Range { min: 1.0, median: 1.0, max: 1.0 },
            most_common_size: ([side; 2], different),
            channels: ChannelCounts { rgb: different, ..ChannelCounts::default() },
            ..Survey::default()
        }
    }

    fn settings(survey: &Survey, options: &RecipeOptions) -> Vec<String> {
        let choice = Choice::of(Path::new("photos"), survey, options).unwrap();
        choice.settings.into_iter().map(|setting| setting.assignment).collect()
    }

    #[test]
    fn the_size_follows_the_images_and_the_machine() {
        let with_gpu = RecipeOptions { has_gpu: true, ..RecipeOptions::default() };
        for (side, on_cpu, there) in [(28, 28, 28), (64, 64, 64), (100, 64, 96), (500, 64, 128)] {
            let is_size = |set: &[String], side| set.contains(&format!("data.size=[{side}, {side}]"));
            assert!(is_size(&settings(&survey(5000, side), &RecipeOptions::default()), on_cpu));
            assert!(is_size(&settings(&survey(5000, side), &with_gpu), there));
        }
        let asked = RecipeOptions { size: Some([32, 48]), ..RecipeOptions::default() };
        assert!(settings(&survey(9, 64), &asked).contains(&"data.size=[32, 48]".into()));
    }

    #[test]
    fn alpha_is_learned_where_it_is_used() {
        let mut images = survey(100, 64);
        images.channels = ChannelCounts { rgba: 100, ..ChannelCounts::default() };
        images.sample = Sample { images: 100, with_alpha: 100, uses_alpha: 40, ..Sample::default() };
        let choice = Choice::of(Path::new("p"), &images, &RecipeOptions::default()).unwrap();
        let channels = choice.settings.iter().find(|setting| setting.assignment == "data.channels=4").unwrap();
        assert_eq!(channels.reason, "40 of 100 decoded images have transparent pixels");
        assert!(choice.advice.iter().any(|advice| advice.contains("--set data.channels=3")), "{:?}", choice.advice);
        images.sample.uses_alpha = 5;
        assert!(settings(&images, &RecipeOptions::default()).contains(&"data.channels=3".into()));
        images.sample.invisible = 100;
        let problem = Choice::of(Path::new("p"), &images, &RecipeOptions::default()).unwrap_err().to_string();
        assert!(problem.contains("all of their pixels are transparent"), "{problem}");
    }

    #[test]
    fn channels_that_are_not_colors_have_no_color_augmentation() {
        let images = Survey { array_channels: Some(5), ..survey(100, 64) };
        let settings = settings(&images, &RecipeOptions::default());
        assert!(settings.contains(&"data.channels=5".into()), "{settings:?}");
        assert!(!settings.contains(&"augment.color=true".into()), "{settings:?}");
        assert!(settings.contains(&"augment.translation=0.125".into()), "{settings:?}");
    }

    #[test]
    fn few_images_are_augmented_and_many_are_not() {
        let is_augmented =
            |n| settings(&survey(n, 64), &RecipeOptions::default()).iter().any(|set| set.starts_with("augment"));
        assert!(is_augmented(300) && is_augmented(5000) && !is_augmented(50_000));
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let problem =
            |survey: Survey| Choice::of(Path::new("p"), &survey, &RecipeOptions::default()).unwrap_err().to_string();
        assert!(problem(survey(0, 64)).contains("p: holds neither images nor a run"));
        assert!(problem(survey(1, 64)).contains("holds one image"));
        let same = Survey { different: 1, ..survey(20, 64) };
        assert!(problem(same).contains("20 images, which are all the same"));
        let options = RecipeOptions { by_class: true, ..RecipeOptions::default() };
        let none = Choice::of(Path::new("p"), &survey(20, 64), &options).unwrap_err().to_string();
        assert!(none.contains("--classes: there are no classes"), "{none}");
    }
}
