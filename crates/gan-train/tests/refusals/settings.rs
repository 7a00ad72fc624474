//! Keys that do not exist, values of the wrong type, values out of range.

use super::{all_refused, expect, problem, small};
use gan_train::{layering, presets};

#[test]
fn the_message_for_an_unknown_key_has_its_path_and_the_nearest_key() {
    all_refused(&[
        ("train.bach=3", &["train.bach:", "unknown key", "did you mean \"batch\"?", "epochs"]),
        ("trian.batch=3", &["unknown key \"trian\"", "did you mean \"train\"?"]),
        ("optimizer.gnerator.lr=1", &["optimizer.gnerator:", "did you mean \"generator\"?"]),
        ("optimizer.generator.lrr=1", &["optimizer.generator.lrr:", "did you mean \"lr\"?"]),
        ("optimizer.discriminator.beta=[0.5,0.9]", &["optimizer.discriminator.beta:", "did you mean \"betas\"?"]),
        ("generator.layers=[{conv=1,kernl=3}]", &["generator.layers[0]", "\"conv\"", "\"kernl\"", "mean \"kernel\"?"]),
        ("generator.layers=[{batch_norm={mom=1}}]", &["layers[0]", "\"batch_norm\"", "did you mean \"momentum\"?"]),
        ("generator.layers=[\"relu\",\"thanh\"]", &["layers[1]", "unknown layer \"thanh\"", "mean \"tanh\"?"]),
        ("generator.layers=[{convv=1}]", &["layers[0]", "unknown layer \"convv\"", "did you mean \"conv\"?"]),
    ]);
}

#[test]
fn the_message_for_an_unknown_value_lists_the_known_ones() {
    all_refused(&[
        ("optimizer.generator.kind=adan", &["optimizer.generator.kind:", "unknown value \"adan\"", "adam, rmsprop"]),
        ("loss.kind=saturated", &["loss.kind:", "non_saturating, minimax"]),
        ("generator.family=dcgn", &["generator.family:", "did you mean \"dcgan\"?"]),
        ("generator.init=dcgn", &["generator.init:", "did you mean \"dcgan\"?"]),
        ("latent.distribution=norm", &["latent.distribution:", "did you mean \"normal\"?"]),
        ("data.name=mnistt", &["data.name:", "did you mean \"mnist\"?"]),
        ("train.precision=f16", &["train.precision:", "did you mean \"bf16\"?"]),
    ]);
}

#[test]
fn the_message_for_a_wrong_type_has_the_value_and_the_expected_type() {
    all_refused(&[
        ("train.batch=many", &["train.batch: found \"many\", expected a whole number"]),
        ("train.batch=2.5", &["train.batch: found 2.5, expected a whole number"]),
        ("train.batch=-8", &["train.batch: found -8, expected a whole number"]),
        ("train.batch=true", &["train.batch: found true, expected a whole number"]),
        ("train.batch=99999999999999999999", &["train.batch: found \"99999999999999999999\""]),
        ("train.batch.x=3", &["train.batch: found a table, expected a whole number"]),
        ("train=3", &["train: found 3, expected a table"]),
        ("train.joint_batch=yes", &["train.joint_batch: found \"yes\", expected true or false"]),
        ("data.size=big", &["data.size: found \"big\", expected a whole number or two"]),
        ("data.size=[28]", &["data.size: found [28], expected a whole number or two"]),
        ("optimizer.generator.lr=fast", &["optimizer.generator.lr: found \"fast\", expected a number"]),
        ("optimizer.generator.betas=0.5", &["optimizer.generator.betas: found 0.5, expected a list of 2 numbers"]),
        ("optimizer.generator.betas=[0.5]", &["optimizer.generator.betas: found a list of 1"]),
        ("optimizer.generator=3", &["optimizer.generator: found 3, expected a table"]),
        ("optimizer.generator.kind=3", &["optimizer.generator.kind:", "expected a name in quotes"]),
        ("generator.layers=tanh", &["generator.layers: found \"tanh\", expected a list"]),
        ("generator.layers=[3]", &["layers[0]: found 3, expected a layer"]),
        ("generator.layers=[\"conv\"]", &["layers[0]", "needs a setting", "{ conv = "]),
        ("generator.layers=[{conv=1}]", &["layers[0]", "\"conv\"", "\"kernel\" is missing"]),
        ("generator.layers=[{conv=1,kernel=\"x\"}]", &["\"conv\", kernel: found \"x\"", "a whole number or two"]),
        ("generator.layers=[{conv=1,kernel=3,padding=\"sam\"}]", &["\"conv\", padding: found \"sam\"", "\"same\""]),
    ]);
}

#[test]
fn the_message_for_a_number_out_of_range_has_the_range() {
    all_refused(&[
        ("train.steps=0", &["train.steps: 0", "at least 1"]),
        ("train.epochs=0", &["train.epochs: 0", "at least 1"]),
        ("train.steps=-5", &["train.steps: found -5", "whole number"]),
        ("train.batch=0", &["train.batch: 0", "expected 1 to"]),
        ("train.batch=60001", &["train.batch: found 60001, expected 1 to 60000, the number of images"]),
        ("train.threads=99999", &["train.threads: 99999", "0 to 1024"]),
        ("train.g_steps=9223372036854775807", &["train.g_steps", "1 to 1000000"]),
        ("data.channels=65", &["data.channels: 65", "1 (gray), 3 (RGB) or 4", "up to 64"]),
        ("optimizer.generator.epsilon=1e-46", &["optimizer.generator.epsilon", "single precision"]),
        ("train.d_steps=0", &["train.d_steps: 0", "1 to 1000000"]),
        ("optimizer.generator.lr=-1e-4", &["optimizer.generator.lr: -0.0001", "above 0"]),
        ("optimizer.generator.lr=0", &["optimizer.generator.lr: 0", "above 0"]),
        ("optimizer.discriminator.lr=nan", &["optimizer.discriminator.lr: NaN", "above 0"]),
        ("optimizer.discriminator.lr=inf", &["optimizer.discriminator.lr: inf", "above 0"]),
        ("optimizer.generator.betas=[1,0.9]", &["optimizer.generator.betas: 1", "less than 1"]),
        ("optimizer.discriminator.betas=[0.5,1.0]", &["optimizer.discriminator.betas: 1", "less than 1"]),
        ("optimizer.generator.epsilon=0", &["optimizer.generator.epsilon: 0", "above 0"]),
        ("loss.real_label=1.1", &["loss.real_label: 1.1", "from 0 to 1"]),
        ("loss.fake_label=-0.1", &["loss.fake_label: -0.1", "from 0 to 1"]),
        ("loss.real_label=nan", &["loss.real_label: NaN", "from 0 to 1"]),
        ("latent.dim=0", &["latent.dim: 0", "expected 1 to"]),
        ("samples.rows=0", &["samples.rows: 0", "1 to 100"]),
        ("checkpoint.every=0", &["checkpoint.every: 0", "at least 1"]),
        ("checkpoint.keep=0", &["checkpoint.keep: 0", "at least 1"]),
        ("data.workers=1000", &["data.workers: 1000", "0 to 64"]),
        ("data.crop=0", &["data.crop: 0", "1 to 65535"]),
        ("data.fit=squash", &["data.fit", "squash", "stretch"]),
        ("data.filter=nearest", &["data.filter", "nearest", "bilinear"]),
        ("data.background=[1,2]", &["data.background", "[1,2]", "[red, green, blue]"]),
        ("data.background=[1,2,300]", &["data.background", "300", "0 to 255"]),
        ("data.split=valid", &["data.split: found \"valid\"", "\"train\" or \"test\""]),
    ]);
}

#[test]
fn the_message_for_a_conflict_names_both_settings() {
    all_refused(&[
        ("optimizer.generator.alpha=0.9", &["optimizer.generator:", "\"alpha\"", "\"adam\"", "remove it"]),
        ("train.fakes_mode=eval", &["train.fakes_mode:", "train.reuse_fakes=false"]),
        ("train.alternate=epochs", &["train.alternate:", "train.reuse_fakes=false"]),
    ]);
}

#[test]
fn the_message_for_an_unsupported_size_lists_the_nearest_ones() {
    all_refused(&[
        ("data.size=27", &["data.size: dcgan cannot make a side of 27", "24 or 28"]),
        ("data.size=30", &["data.size: dcgan cannot make a side of 30", "28 or 32"]),
        ("data.size=0", &["data.size: 0", "expected 1 to"]),
        ("data.size=[28,56]", &["data.size: dcgan cannot make images of 28×56", "equally often"]),
        ("data.size=32", &["data.size: found 32×32 for images of 28×28", "data.upscale=true"]),
        ("data.channels=3", &["data.channels: 3", "mnist have 1"]),
    ]);
}

#[test]
fn the_message_for_a_malformed_assignment_shows_the_form() {
    all_refused(&[
        ("train.batch", &["--set train.batch: there is no '='", "e.g. train.batch=64"]),
        ("=3", &["--set =3:", "e.g. train.batch=64"]),
        ("train..batch=3", &["--set train..batch=3:", "empty part"]),
        ("preset=keras-mnist", &["--set preset=keras-mnist:", "in place of"]),
    ]);
}

#[test]
fn the_later_of_steps_and_epochs_is_used() {
    let mut table = small();
    for setting in ["train.epochs=2", "train.steps=1"] {
        layering::set(&mut table, setting).unwrap();
    }
    let train = layering::read(table).unwrap().train;
    assert_eq!((train.steps, train.epochs), (Some(1), None));
    all_refused(&[("train.epochs=0", &["train.epochs: 0"])]);
}

#[test]
fn invalid_evaluation_and_alarm_settings_are_named() {
    all_refused(&[
        ("evaluate={every=10,metrics=[\"fd_digits\"],best=\"kid\"}", &["evaluate.best", "evaluate.metrics"]),
        ("alarms.not_finite=warn", &["alarms.not_finite", "stop"]),
        ("alarms.lr_factor=0", &["alarms.lr_factor", "above 0"]),
        ("alarms.d_one=off", &["alarms", "unknown key \"d_one\"", "did you mean \"d_won\"?"]),
        ("alarms.d_won=of", &["alarms.d_won", "unknown value \"of\"", "did you mean \"off\"?"]),
        ("alarms.rollbacks=-1", &["alarms.rollbacks: found -1, expected a whole number"]),
        ("alarms=3", &["alarms: found 3, expected a table"]),
        ("train.ema=1", &["train.ema", "less than 1"]),
        ("train.ema_half_life=-1", &["train.ema_half_life", "at least 0"]),
        ("schedule.images=0", &["schedule.images", "at least 1"]),
        ("schedule.lr_factor=-0.5", &["schedule.lr_factor", "at least 0"]),
        ("schedule.beta2=1", &["schedule.beta2", "less than 1"]),
        ("schedule.augment=0.5", &["schedule.augment", "no augmentation"]),
        ("schedule.ema_half_life=100", &["schedule.ema_half_life", "train.ema_half_life is missing"]),
        ("schedule.curve=\"round\"", &["schedule.curve", "round"]),
        ("augment.adaptive=0.6", &["augment.adaptive", "no augmentation"]),
        ("augment.probability=1.5", &["augment.probability", "from 0 to 1"]),
        ("augment.adaptive=2", &["augment.adaptive", "below 1"]),
    ]);
}

#[test]
fn invalid_losses_and_penalties_are_named() {
    all_refused(&[
        ("loss={kind=\"hinge\",real_label=0.9}", &["loss.real_label", "no labels to smooth"]),
        ("loss.kind=wgan", &["loss.kind", "wasserstein"]),
        ("penalties=[{kind=\"r1\",weight=1.0,every=0}]", &["penalties.r1.every", "at least 1"]),
        ("penalties=[{kind=\"r1\",weight=-1.0}]", &["penalties.r1.weight", "at least 0"]),
        ("penalties=[{kind=\"r3\",weight=1.0}]", &["penalties", "r1"]),
        ("penalties=[{kind=\"clip\",weight=0.0}]", &["penalties.clip.weight", "above 0"]),
        (
            "penalties=[{kind=\"feature_matching\",weight=1.0,every=2}]",
            &["penalties.feature_matching.every", "every update"],
        ),
        ("loss.flip=0.5", &["loss.flip", "less than 0.5"]),
    ]);
}

#[test]
fn invalid_settings_of_a_step_are_named() {
    all_refused(&[
        ("train.decay=0", &["train.decay", "above 0"]),
        ("train.pacgan=3", &["train.pacgan", "does not divide"]),
        ("augment.cutout=2", &["augment.cutout", "from 0 to 1"]),
        ("train.instance_noise={sigma=0.1,until=0}", &["train.instance_noise.until", "above 0"]),
        ("train.until={fd_digit=1.0}", &["train.until.fd_digit", "did you mean \"fd_digits\"?"]),
        ("train.until={fid=1.0}", &["train.until.fid", "\"fd_thumbnails\""]),
        ("train.accumulate=1000", &["train.accumulate", "cannot be used"]),
        ("latent.truncation=0", &["latent.truncation", "0.01 to 1000"]),
        ("train.warmup=0", &["train.warmup", "at least 1"]),
        ("train.clip_norm=0", &["train.clip_norm", "above 0"]),
    ]);
}

#[test]
fn settings_of_another_data_set_are_refused() {
    all_refused(&[
        ("data.ring.modes=3", &["data.ring: is for data.name = \"ring\", found \"mnist\": remove it"]),
        ("data.grid.side=3", &["data.grid: is for data.name = \"grid\", found \"mnist\": remove it"]),
        (
            "data.curve={curves=[{polynomial=[1,2]}]}",
            &["data.curve: is for data.name = \"curve\", found \"mnist\": remove it"],
        ),
        (
            "data.count=100",
            &["data.count: is for data.name = \"stacked-mnist\" or \"synthetic\", found \"mnist\": remove it"],
        ),
        ("data={name=\"stacked-mnist\",count=1000000000}", &["data.count: found 1000000000, expected 1 to 100000000"]),
    ]);
}

#[test]
fn more_conflicts_between_settings_are_named() {
    for (settings, words) in [
        (
            &["loss.kind=relativistic_pairing", "train.alternate=epochs", "train.reuse_fakes=false"][..],
            ["loss.kind", "train.alternate=steps"],
        ),
        (&["evaluate.every=0", "alarms.collapse=rollback"], ["alarms.collapse", "set evaluate.every"]),
        // Points have no classes.
        (&["data={name=\"ring\"}", "generator.layers=[{concat_class=8},{dense=2}]"], ["8 classes", "has no classes"]),
    ] {
        let preset = if settings[0].contains("ring") { "ring2d" } else { "dcgan-mnist" };
        let mut table = layering::from_preset(presets::get(preset).unwrap()).unwrap();
        settings.iter().for_each(|setting| layering::set(&mut table, setting).unwrap());
        expect(&problem(Ok(table)), &words);
    }
}
