//! Checks that need both networks and data: classes, features, and batches that are large enough for layers with batch statistics.

use crate::error::{Error, Result, refuse_if};
use crate::plan::Plan;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_core::penalties::{Effect, Penalty};
use gan_core::{Discriminator, ForwardContext, Generator, Layer, shape};
use gan_data::{LastBatch, Loader, Order, Sampling};

/// Checks that networks and data have the same classes, and that D supports the penalties.
pub(crate) fn networks(
    plan: &Plan,
    g: &dyn Generator,
    d: &dyn Discriminator,
    loader: &Loader,
    device: &Device,
) -> Result<()> {
    let data = loader.dataset();
    let known = data.classes().len();
    let why = data.inventory().and_then(|inventory| inventory.no_classes.as_deref());
    let why = why.map_or(String::new(), |why| format!(" ({why})"));
    let name = plan.config().data.name();
    if let Some(asked) = g.classes().filter(|asked| *asked != known) {
        let has = if known == 0 { format!("has no classes{why}") } else { format!("has {}", counted(known, "class")) };
        let problem = format!(
            "its layers are for {}, but the data ({name}) {has}: use {name} with as many, or layers without classes",
            counted(asked, "class")
        );
        return Err(Error::config("generator.layers", problem));
    }
    let [of_d, of_g] = [d.classes(), g.classes()].map(|n| n.map_or("no classes".into(), |n| counted(n, "class")));
    let problem = format!("D's layers know {of_d}, G's {of_g}: give both the same, or neither");
    refuse_if(g.classes() != d.classes(), "discriminator.layers", problem)?;
    let compares = |penalty: &&Penalty| matches!(penalty.kind.effect(), Effect::Features(_));
    if let Some(penalty) = plan.config().penalties.iter().find(compares) {
        let pack = plan.config().train.pacgan;
        let mut shape = plan.sample();
        shape[0] *= pack;
        let x = Tensor::zeros([&[2], &shape[..]].concat(), candle_core::DType::F32, device)?;
        let classes = d.classes().map(|_| Tensor::zeros(2, candle_core::DType::U32, device)).transpose()?;
        let verdict = d.forward(&x, &mut ForwardContext::eval().with_features().of_classes(classes.as_ref()))?;
        let problem = "D hands over no features, which feature matching compares: fill DiscriminatorOutput::features, or remove the penalty";
        refuse_if(verdict.features.is_none(), format!("penalties.{}", penalty.kind.name()), problem)?;
    }
    Ok(())
}

/// Refuses batches in which batch norm would see a single number of each channel, which has no variance: such a run would fail at the end
/// of its first epoch. `ranks` processes share each batch.
///
/// # Errors
/// With the layer, the batch and the setting to change.
pub(crate) fn batches(plan: &Plan, loader: &Loader, ranks: usize) -> Result<()> {
    let sampling = loader.position().sampling;
    if let Some(problem) = lacking(plan, sampling.batch, ranks) {
        let problem = format!("{} cannot be used: {problem}. Use a larger batch", sampling.batch);
        return Err(Error::config("train.batch", problem));
    }
    let Some(rest) = kept_rest(&sampling) else { return Ok(()) };
    let Some(problem) = lacking(plan, rest, ranks) else { return Ok(()) };
    let problem = format!(
        "the last batch of an epoch has {rest} of the {} samples (train.batch = {}): {problem}. Leave the last batch out by \
         --set data.last_batch=drop, or choose another train.batch",
        sampling.len, sampling.batch
    );
    Err(Error::config("data.last_batch", problem))
}

/// Returns the number of samples in the last batch of an epoch, if it is smaller than the others and is used.
pub(crate) fn kept_rest(sampling: &Sampling) -> Option<usize> {
    let keeps = sampling.last == LastBatch::Keep && sampling.order != Order::WithReplacement;
    Some(sampling.len % sampling.batch).filter(|rest| *rest > 0 && keeps)
}

/// Describes what divides a batch of `whole` samples.
fn parts(plan: &Plan, whole: usize, ranks: usize) -> String {
    let train = &plan.config().train;
    let mut cuts = vec![format!("a batch of {whole}")];
    cuts.extend((ranks > 1).then(|| format!("on {ranks} processes")));
    cuts.extend((train.accumulate > 1).then(|| format!("in train.accumulate = {} parts", train.accumulate)));
    cuts.extend((train.pacgan > 1).then(|| format!("with train.pacgan = {}", train.pacgan)));
    cuts.join(" ")
}

/// Returns the number of samples in the smallest forward pass of G and of D, for a batch of `whole`.
fn rows(plan: &Plan, whole: usize, ranks: usize) -> [usize; 2] {
    let train = &plan.config().train;
    let own = whole / ranks;
    let units = own / train.pacgan;
    let count = train.accumulate.clamp(1, units.max(1));
    let part = units / count * train.pacgan;
    // Batch norm over all ranks sees every rank's samples.
    let seen = if train.sync_batch_norm { part * ranks } else { part };
    let packs = seen / train.pacgan;
    let both = if train.joint_batch { 2 * packs } else { packs };
    let penalties =
        plan.config().penalties.iter().filter(|penalty| matches!(penalty.kind.effect(), Effect::Gradient(_)));
    // Penalties see each rank's own samples.
    let own_packs = part / train.pacgan;
    let share = |share: f64| ((own_packs as f64 * share).round() as usize).clamp(1, own_packs.max(1));
    let discriminator = penalties.map(|penalty| share(penalty.share)).chain([both]).min().unwrap_or(both);
    [seen, discriminator]
}

/// Describes the first layer to which a batch of `whole` samples leaves a single number per channel.
fn lacking(plan: &Plan, whole: usize, ranks: usize) -> Option<String> {
    let networks = [("generator", &plan.generator), ("discriminator", &plan.discriminator)];
    let (name, index, layer) =
        networks.into_iter().zip(rows(plan, whole, ranks)).find_map(|((name, network), rows)| {
            let (index, layer) = narrow(&network.input, &network.layers).filter(|_| rows < 2)?;
            Some((name, index, layer))
        })?;
    Some(format!(
        "{name} layer {index}, {}, takes a variance over the samples of a batch, and {} leaves it a single sample",
        layer.written(),
        parts(plan, whole, ranks)
    ))
}

/// Returns the first layer with batch norm over one number of each channel and sample, such as one after a dense layer.
fn narrow<'a>(input: &[usize], layers: &'a [Layer]) -> Option<(usize, &'a Layer)> {
    // A list that does not fit together is refused elsewhere.
    let shapes = shape::infer("", input, layers).ok()?;
    let before = std::iter::once(input).chain(shapes.iter().map(|layer| &layer.output[..]));
    layers.iter().enumerate().zip(before).find_map(|((index, layer), shape)| {
        let one = shape[1..].iter().product::<usize>() == 1;
        let inside = layer.branches().into_iter().any(|(_, list)| narrow(shape, list).is_some());
        ((one && layer.running().is_some()) || inside).then_some((index, layer))
    })
}

#[cfg(test)]
mod tests {
    use crate::layering::{self, Table};
    use crate::{Error, Trainer, presets};

    /// Returns whether a trainer of MNIST's first `limit` digits can be built with `settings` and small networks.
    fn built(limit: usize, settings: &[&str]) -> Result<(), String> {
        let mut table: Table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
        let dense = "generator.layers=[{dense=32},{batch_norm={}},\"relu\",{dense=784},{reshape=[1,28,28]},\"tanh\"]";
        let own = ["generator.input=[100]", dense, "discriminator.width=4", "train.batch=10"];
        let limit = format!("data.limit={limit}");
        for assignment in own.iter().chain(settings).copied().chain([limit.as_str()]) {
            layering::set(&mut table, assignment).unwrap();
        }
        let plan = layering::read(table).unwrap().check().map_err(|e| e.to_string())?;
        Trainer::new(plan, &candle_core::Device::Cpu).map(drop).map_err(|e: Error| {
            assert!(e.is_usage(), "{e}");
            e.to_string()
        })
    }

    #[test]
    fn a_last_batch_of_one_is_refused_before_training() {
        let message = built(101, &[]).unwrap_err();
        for words in [
            "data.last_batch: the last batch of an epoch has 1 of the 101 samples (train.batch = 10)",
            "generator layer 1, { batch_norm = {",
            "--set data.last_batch=drop",
        ] {
            assert!(message.contains(words), "no {words} in {message}");
        }
        built(100, &[]).unwrap();
        built(102, &[]).unwrap();
        built(101, &["data.last_batch=drop"]).unwrap();
        built(101, &["data.replacement=true"]).unwrap();
    }

    #[test]
    fn parts_of_one_are_refused_as_well() {
        let message = built(100, &["train.accumulate=10"]).unwrap_err();
        assert!(message.starts_with("train.batch: 10 cannot be used: generator layer 1"), "{message}");
        assert!(
            message.contains("a batch of 10 in train.accumulate = 10 parts leaves it a single sample"),
            "{message}"
        );
        // Three samples in two micro-batches are one and two.
        assert!(
            built(103, &["train.accumulate=2"]).unwrap_err().contains("a batch of 3 in train.accumulate = 2 parts")
        );
        built(104, &["train.accumulate=2"]).unwrap();
        assert!(built(100, &["train.batch=1"]).unwrap_err().starts_with("train.batch: 1 cannot be used"));
    }

    #[test]
    fn penalties_on_a_share_of_the_batch_count_too() {
        let d = "discriminator.layers=[\"flatten\",{dense=8},{batch_norm={}},{dense=1}]";
        let settings = ["discriminator.input=[1,28,28]", d, "penalties=[{kind=\"r1\",weight=1.0,share=0.1}]"];
        let message = built(100, &settings).unwrap_err();
        assert!(message.contains("discriminator layer 2"), "{message}");
        built(100, &[settings[0], settings[1]]).unwrap();
    }

    #[test]
    fn batch_norm_over_images_needs_no_second_sample() {
        let g = "generator.layers=[{dense=49},{reshape=[1,7,7]},{upsample=4},{conv=4,kernel=3,padding=1},{batch_norm={}},{conv=1,kernel=1},\"tanh\"]";
        built(101, &[g]).unwrap();
        let block = "generator.layers=[{dense=16},{residual=[{dense=16},{batch_norm={}}]},{dense=784},{reshape=[1,28,28]},\"tanh\"]";
        assert!(built(101, &[block]).unwrap_err().contains("generator layer 1, { residual = "));
    }
}
