//! Checks of settings that need neither data nor networks.

use crate::config::{Alternate, DataConfig, FakesMode, Policy, RunConfig};
use crate::error::{Error, Result, refuse_if};
use crate::optimizers::UpdateRule;
use gan_core::Layer;
use gan_core::penalties::{Effect, Penalty};
use gan_data::LastBatch;
use gan_data::images::MOST_CHANNELS;
use gan_metrics::Metric;

/// Largest side of a crop box: JPEG's limit.
const LARGEST_CROP: usize = 65_535;

/// Minimum number of samples for a meaningful figure.
const FEWEST_SAMPLES: usize = 100;

/// Largest weight of a term of a loss.
const LARGEST: f64 = f32::MAX as f64;

/// Checks all settings except the networks.
pub(super) fn check(config: &RunConfig) -> Result<()> {
    train(config)?;
    data(&config.data)?;
    loss(config)?;
    config.penalties.iter().try_for_each(penalty)?;
    discriminator_input(config)?;
    for (key, optimizer) in
        [("generator", &config.optimizer.generator), ("discriminator", &config.optimizer.discriminator)]
    {
        optimizer.check().map_err(|(name, problem)| Error::config(format!("optimizer.{key}.{name}"), problem))?;
    }
    at_least_one("checkpoint.every", config.checkpoint.every)?;
    at_least_one("checkpoint.keep", config.checkpoint.keep as u64)?;
    at_least_one("samples.every", config.samples.every)?;
    within("samples.rows", config.samples.rows, 1, 100)?;
    within("samples.columns", config.samples.columns, 1, 100)?;
    evaluation(config)?;
    within("latent.dim", config.latent.dim, 1, 1 << 20)?;
    let is_truncation = |most| (0.01..=1000.0).contains(&most);
    expect("latent.truncation", config.latent.truncation, is_truncation, "a number from 0.01 to 1000, e.g. 0.7")
}

fn at_least_one(key: &str, n: u64) -> Result<()> {
    refuse_if(n == 0, key, "0 cannot be used: expected at least 1")
}

pub(super) fn within(key: &str, n: usize, low: usize, high: usize) -> Result<()> {
    let problem = || format!("{n} cannot be used: expected {low} to {high}");
    if (low..=high).contains(&n) { Ok(()) } else { Err(Error::config(key, problem())) }
}

/// Refuses a number, if it is set and `fits` does not hold.
fn expect(key: &str, n: impl Into<Option<f64>>, fits: impl Fn(f64) -> bool, expected: &str) -> Result<()> {
    match n.into().filter(|n| !fits(*n)) {
        Some(n) => Err(Error::config(key, format!("{n} cannot be used: expected {expected}"))),
        None => Ok(()),
    }
}

fn is_fraction(n: f64) -> bool {
    n > 0.0 && n <= 1.0
}

fn is_weight(n: f64) -> bool {
    (0.0..=LARGEST).contains(&n)
}

fn train(config: &RunConfig) -> Result<()> {
    let t = &config.train;
    match (t.steps, t.epochs) {
        (Some(_), Some(_)) => {
            return Err(Error::config("train.steps", "train.epochs is given as well: give one of them"));
        }
        (None, None) => return Err(Error::config("train.steps", "is missing; give train.steps or train.epochs")),
        (Some(n), None) => at_least_one("train.steps", n)?,
        (None, Some(n)) => at_least_one("train.epochs", n)?,
    }
    within("train.batch", t.batch, 1, 1 << 20)?;
    at_least_one("train.log_every", t.log_every)?;
    for (key, n) in [("train.d_steps", t.d_steps), ("train.g_steps", t.g_steps)] {
        within(key, usize::try_from(n).unwrap_or(usize::MAX), 1, 1_000_000)?;
    }
    within("train.threads", t.threads, 0, 1024)?;
    expect("train.ema", t.ema, |decay| (0.0..1.0).contains(&decay), "a number from 0 to less than 1, e.g. 0.999")?;
    expect("train.ema_half_life", t.ema_half_life, is_amount, "a number of images, at least 0")?;
    let both = "train.ema is given as well: give one of them";
    refuse_if(t.ema.is_some() && t.ema_half_life.is_some(), "train.ema_half_life", both)?;
    schedule(config)?;
    refuse_if(t.warmup == Some(0), "train.warmup", "0 cannot be used: expected at least 1 step, or no warmup")?;
    expect("train.clip_norm", t.clip_norm, |most| most > 0.0 && most.is_finite(), "a number above 0")?;
    expect("train.decay", t.decay, is_fraction, "a number above 0, at most 1, e.g. 0.5 for the second half")?;
    let ascends = t.extended.windows(2).all(|pair| pair[0].until < pair[1].until);
    refuse_if(
        !ascends || t.extended.iter().any(|part| part.until == 0 || part.until > part.steps),
        "train.extended",
        "cannot be used: expected parts of the run in their order, each with `until` from 1 to its `steps`",
    )?;
    let too_large = format!("{} is too large, the largest is {}", t.seed, i64::MAX);
    refuse_if(t.seed > i64::MAX as u64, "train.seed", too_large)?;
    refuse_if(
        t.reuse_fakes && t.fakes_mode == FakesMode::Eval,
        "train.fakes_mode",
        "samples made as in use (\"eval\") carry no gradients for G: set train.reuse_fakes=false",
    )?;
    refuse_if(
        t.reuse_fakes && t.alternate == Alternate::Epochs,
        "train.alternate",
        "where the players alternate by epochs there are no samples to reuse: set train.reuse_fakes=false",
    )
}

fn data(data: &DataConfig) -> Result<()> {
    within("data.workers", data.workers, 0, 64)?;
    within("data.limit", data.limit.unwrap_or(1), 1, usize::MAX)?;
    within("data.window", data.window.unwrap_or(1), 1, usize::MAX)?;
    refuse_if(
        data.window.is_some() && data.replacement,
        "data.window",
        "images that are drawn with data.replacement have no order: remove one of the two",
    )?;
    data.set.check()?;
    let Some(size) = data.size else {
        let given = [("crop", data.crop.is_some()), ("flip", data.flip), ("split", data.set.split().is_some())];
        for (key, given) in given {
            let problem = "is for images, which need data.size: remove it, or set data.size";
            refuse_if(given, format!("data.{key}"), problem)?;
        }
        return within("data.channels", data.channels, 1, 1 << 16);
    };
    let expected = format!("1 (gray), 3 (RGB) or 4 (RGB and alpha), for arrays up to {MOST_CHANNELS}");
    let problem = format!("{} cannot be used: expected {expected}", data.channels);
    refuse_if(!(1..=MOST_CHANNELS).contains(&data.channels), "data.channels", problem)?;
    size.get().into_iter().try_for_each(|side| within("data.size", side, 1, 4096))?;
    let crop = data.crop.into_iter().flat_map(|crop| crop.get());
    crop.into_iter().try_for_each(|side| within("data.crop", side, 1, LARGEST_CROP))
}

fn loss(config: &RunConfig) -> Result<()> {
    let loss = &config.loss;
    for (key, label) in [("loss.real_label", loss.real_label), ("loss.fake_label", loss.fake_label)] {
        let problem = format!("{label} is not a probability: expected a number from 0 to 1");
        refuse_if(!(0.0..=1.0).contains(&label), key, problem)?;
    }
    refuse_if(
        !loss.kind.properties().takes_labels && [loss.real_label, loss.fake_label] != [1.0, 0.0],
        "loss.real_label",
        "this loss has no labels to smooth: set loss.real_label=1 and loss.fake_label=0",
    )?;
    let is_share = |flip| (0.0..0.5).contains(&flip);
    expect("loss.flip", loss.flip, is_share, "a share from 0 to less than 0.5, e.g. 0.05")?;
    expect("loss.auxiliary", loss.auxiliary, is_weight, "a number of at least 0")?;
    let compares = config.penalties.iter().find(|penalty| matches!(penalty.kind.effect(), Effect::Features(_)));
    let (key, what) = match compares {
        Some(penalty) => (format!("penalties.{}", penalty.kind.name()), "it"),
        None => ("loss.kind".into(), "this loss"),
    };
    refuse_if(
        (!loss.kind.properties().has_threshold || compares.is_some()) && config.train.alternate == Alternate::Epochs,
        key,
        format!("{what} compares samples with real ones, which G's epochs have none of: set train.alternate=steps"),
    )
}

fn penalty(penalty: &Penalty) -> Result<()> {
    let key = |name: &str| format!("penalties.{}.{name}", penalty.kind.name());
    expect(&key("share"), penalty.share, is_fraction, "a number above 0, at most 1")?;
    at_least_one(&key("every"), penalty.every)?;
    let (lowest, least, is_on_gradient) = match penalty.kind.effect() {
        Effect::Gradient(_) => (0.0, "a number of at least 0", true),
        Effect::Features(_) => (0.0, "a number of at least 0", false),
        Effect::Weights(_) => (f64::from(f32::MIN_POSITIVE), "a number above 0", false),
    };
    refuse_if(
        !is_on_gradient && (penalty.every, penalty.share) != (1, 1.0),
        key(if penalty.every == 1 { "share" } else { "every" }),
        "is for penalties on D's gradient, this one holds in every update: remove it",
    )?;
    let fits = |weight| (lowest..=LARGEST).contains(&weight);
    expect(&key("weight"), penalty.weight, fits, least)?;
    expect(&key("end"), penalty.end, fits, least)
}

/// Checks `[schedule]`: each value that changes must have a start.
fn schedule(config: &RunConfig) -> Result<()> {
    let schedule = &config.schedule;
    refuse_if(schedule.images == Some(0), "schedule.images", "0 cannot be used: expected at least 1 image")?;
    expect("schedule.lr_factor", schedule.lr_factor, is_amount, "a number of at least 0, e.g. 0.25")?;
    expect("schedule.beta2", schedule.beta2, |beta| (0.0..1.0).contains(&beta), "a number from 0 to less than 1")?;
    expect("schedule.augment", schedule.augment, |p| (0.0..=1.0).contains(&p), "a number from 0 to 1")?;
    expect("schedule.ema_half_life", schedule.ema_half_life, is_amount, "a number of images, at least 0")?;
    let augment = schedule.augment.is_some();
    let nothing = "there is no augmentation whose probability could change: add one, e.g. augment.color=true";
    refuse_if(augment && config.augment.is_none(), "schedule.augment", nothing)?;
    let adjusted = "augment.adaptive adjusts the probability: remove one of them";
    refuse_if(augment && config.augment.adaptive.is_some(), "schedule.augment", adjusted)?;
    let none = "train.ema_half_life is missing, with which it begins: give it, e.g. 0";
    let starts = config.train.ema_half_life.is_some();
    refuse_if(schedule.ema_half_life.is_some() && !starts, "schedule.ema_half_life", none)
}

fn is_amount(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}

/// Checks `[augment]`, instance noise, PacGAN, and accumulation.
fn discriminator_input(config: &RunConfig) -> Result<()> {
    let augment = &config.augment;
    let train = &config.train;
    if let Some((key, problem)) = augment.problem() {
        return Err(Error::config(format!("augment.{key}"), problem));
    }
    refuse_if(
        !augment.is_none() && config.data.size.is_none(),
        "augment",
        "changes images, and the data are points: remove it, or use train.instance_noise",
    )?;
    let channels = config.data.channels;
    refuse_if(
        augment.color && !matches!(channels, 1 | 3 | 4),
        "augment.color",
        format!("changes gray and RGB, and images of {channels} channels have neither: set augment.color=false"),
    )?;
    if let Some(noise) = &train.instance_noise {
        let is_deviation = |sigma: f64| sigma >= 0.0 && sigma.is_finite();
        expect("train.instance_noise.sigma", noise.sigma, is_deviation, "a number of at least 0")?;
        expect("train.instance_noise.until", noise.until, is_fraction, "a part of the run, above 0, at most 1")?;
    }
    within("train.accumulate", train.accumulate, 1, train.batch.max(1))?;
    let pack = train.pacgan;
    let batch = train.batch;
    within("train.pacgan", pack, 1, batch.max(1))?;
    if pack == 1 {
        return Ok(());
    }
    let problem = format!("{pack} does not divide train.batch = {batch}: choose one that does");
    refuse_if(!batch.is_multiple_of(pack), "train.pacgan", problem)?;
    let keeps_rest = !config.data.replacement && config.data.last_batch == LastBatch::Keep;
    let problem = format!("an epoch's last batch may have fewer samples than {pack}: set data.last_batch=drop");
    refuse_if(keeps_rest, "train.pacgan", problem)?;
    let mut layers = [&config.generator.layers, &config.discriminator.layers].into_iter().flatten().flatten();
    let has_classes = layers.any(|layer| Layer::classes(layer).is_some());
    refuse_if(has_classes, "train.pacgan", "samples of several classes cannot be packed: set it to 1")
}

/// Checks `[evaluate]`, `train.until` and `[alarms]`.
fn evaluation(config: &RunConfig) -> Result<()> {
    let evaluate = &config.evaluate;
    within("evaluate.samples", evaluate.samples, FEWEST_SAMPLES, 1_000_000)?;
    if let Some(best) = evaluate.best {
        let is_missing = !evaluate.metrics.is_empty() && !evaluate.metrics.contains(&best);
        let problem = format!("\"{}\" is not among evaluate.metrics: add it there", best.key);
        refuse_if(is_missing, "evaluate.best", problem)?;
    }
    for (name, value) in &config.train.until {
        let key = format!("train.until.{name}");
        Metric::from_setting(name).map_err(|problem| Error::config(&key, problem))?;
        refuse_if(!value.is_finite(), &key, format!("{value} cannot be reached: expected a number"))?;
        refuse_if(evaluate.every == 0, &key, "nothing is measured in this run: set evaluate.every, e.g. 500")?;
    }
    let factor = config.alarms.lr_factor;
    expect("alarms.lr_factor", factor, is_fraction, "a number above 0 and at most 1, e.g. 0.5")?;
    for (rule, policy) in config.alarms.policies() {
        let needs_evaluation = policy == Policy::Rollback && evaluate.every == 0;
        let goes_back =
            "\"rollback\" goes back to the best state, which is known by evaluation only: set evaluate.every";
        if let Some(problem) = (rule.refuses)(policy).or(needs_evaluation.then_some(goes_back)) {
            return Err(Error::config(format!("alarms.{}", rule.key), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layering, presets};

    /// Returns the checked `[data]` of a preset with `assignments` over it.
    fn checked(preset: &str, assignments: &[&str]) -> Result<()> {
        let mut table = layering::from_preset(presets::get(preset)?)?;
        assignments.iter().try_for_each(|assignment| layering::set(&mut table, assignment))?;
        super::data(&layering::read(table)?.data)
    }

    #[test]
    fn settings_of_one_set_are_refused_beside_any_other_name() {
        for (preset, set, key, names) in [
            ("dcgan-mnist", "data.ring.modes=3", "data.ring", "\"ring\""),
            ("dcgan-mnist", "data.grid.side=3", "data.grid", "\"grid\""),
            ("dcgan-cifar10", "data.curve={x=[0,1], curves=[{polynomial=[1]}]}", "data.curve", "\"curve\""),
            ("grid2d", "data.ring.modes=3", "data.ring", "\"ring\""),
            ("dcgan-mnist", "data.count=3", "data.count", "\"stacked-mnist\" or \"synthetic\""),
            ("ring2d", "data.count=3", "data.count", "\"stacked-mnist\" or \"synthetic\""),
        ] {
            let message = checked(preset, &[set]).unwrap_err().to_string();
            let words = format!("{key}: is for data.name = {names}, found ");
            assert!(message.contains(&words) && message.contains("remove it"), "{preset}, {set}: {message}");
        }
    }

    #[test]
    fn another_set_drops_the_settings_of_the_old_one_and_keeps_those_that_it_shares() {
        checked("ring2d", &["data.name=grid"]).unwrap();
        checked("dcgan-celeba", &["data.name=synthetic"]).unwrap();
        checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=30", "data.name=synthetic"]).unwrap();
    }

    #[test]
    fn the_older_name_of_synthetic_data_is_read_with_all_that_stood_beside_it() {
        let table = |text: &str| crate::layering::Table::from_iter([("data".into(), toml::from_str(text).unwrap())]);
        let old =
            layering::read_data(table("name = 'made'\nchannels = 1\nsize = 8\ncount = 9\nsplit = 'all'")).unwrap();
        let new = layering::read_data(table("name = 'synthetic'\nchannels = 1\nsize = 8\ncount = 9")).unwrap();
        assert_eq!(old, new);
    }

    #[test]
    fn windows_of_nothing_or_of_draws_are_refused() {
        let message = |assignments: &[&str]| checked("dcgan-mnist", assignments).unwrap_err().to_string();
        assert!(message(&["data.window=0"]).starts_with("data.window: "), "{}", message(&["data.window=0"]));
        let both = message(&["data.window=100", "data.replacement=true"]);
        assert!(both.contains("data.window: images that are drawn with data.replacement have no order"), "{both}");
        checked("dcgan-mnist", &["data.window=100"]).unwrap();
    }

    #[test]
    fn settings_of_the_set_itself_are_taken() {
        checked("ring2d", &["data.ring.modes=3"]).unwrap();
        checked("curve2d", &["data.curve.x=[0, 3]"]).unwrap();
        checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=300"]).unwrap();
        checked("dcgan-mnist", &["data.name=synthetic", "data.count=300"]).unwrap();
        let message = checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=0"]).unwrap_err().to_string();
        assert!(message.contains("data.count: found 0, expected 1 to 100000000"), "{message}");
    }
}
