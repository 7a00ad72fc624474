//! Checks that need both networks and data.

use crate::error::{Error, Result};
use crate::plan::Plan;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_core::penalties::{Effect, Penalty};
use gan_core::{Discriminator, ForwardContext, Generator};
use gan_data::Loader;

/// Checks that networks and data have the same classes, and that D supports the penalties.
pub(super) fn networks(
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
    if g.classes() != d.classes() {
        let said = |classes: Option<usize>| classes.map_or("no classes".into(), |n| counted(n, "class"));
        let problem =
            format!("D's layers know {}, G's {}: give both the same, or neither", said(d.classes()), said(g.classes()));
        return Err(Error::config("discriminator.layers", problem));
    }
    let compares = |penalty: &&Penalty| matches!(penalty.kind.effect(), Effect::Features(_));
    if let Some(penalty) = plan.config().penalties.iter().find(compares) {
        let pack = plan.config().train.pacgan;
        let mut shape = plan.sample();
        shape[0] *= pack;
        let x = Tensor::zeros([&[2], &shape[..]].concat(), candle_core::DType::F32, device)?;
        let classes = d.classes().map(|_| Tensor::zeros(2, candle_core::DType::U32, device)).transpose()?;
        let verdict = d.forward(&x, &mut ForwardContext::eval().with_features().of_classes(classes.as_ref()))?;
        if verdict.features.is_none() {
            let problem = "D hands over no features, which feature matching compares: fill DiscriminatorOutput::features, or remove the penalty";
            return Err(Error::config(format!("penalties.{}", penalty.kind.name()), problem));
        }
    }
    Ok(())
}
