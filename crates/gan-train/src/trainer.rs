//! A run in memory: the networks, their optimizers, the data and the random streams; [`Trainer::advance`] is one step.

use crate::checkpoint::identity::DataIdentity;
use crate::config::FakesMode;
use crate::data;
use crate::ema::Ema;
use crate::error::{Error, Result, refuse_if};
use crate::optimizers::Optimizer;
use crate::plan::{Architecture, Plan, Turn};
use crate::resident::Residence;
use crate::step::{Objective, Order, ProcessGroup, StandardStep, TrainingStep, UpdateContext};
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::{Discriminator, Generator, LayeredDiscriminator, LayeredGenerator, LossFunction};
use gan_data::{Dataset, Loader};
use gan_kernels::Precision;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(crate) mod adaptive;
pub(crate) mod checks;
mod device;
mod report;
mod samples;
mod schedule;

use adaptive::Adaptive;
use report::Look;
pub use report::{Moment, Parts, StepReport};
use samples::Last;

/// A run in memory: networks, optimizers, data and random streams.
pub struct Trainer {
    pub(crate) plan: Plan,
    pub(crate) generator: Box<dyn Generator>,
    pub(crate) discriminator: Box<dyn Discriminator>,
    pub(crate) optimizer_g: Optimizer,
    pub(crate) optimizer_d: Optimizer,
    /// Moving average of G's weights, if there is one.
    pub(crate) ema: Option<Ema>,
    pub(crate) loader: Loader,
    /// Random stream of latent vectors.
    pub(crate) noise: Rng,
    /// Random stream of dropout.
    pub(crate) dropout: Rng,
    pub(crate) step: u64,
    /// Adjusted probability of augmentations, if it is.
    pub(crate) adaptive: Option<Adaptive>,
    /// Number of rollbacks by alarms.
    pub(crate) rollbacks: u64,
    /// Latent vectors to use before new ones are drawn.
    pub(crate) queued: VecDeque<Tensor>,
    /// The processes that train together.
    pub(crate) group: ProcessGroup,
    /// Loss of both networks.
    loss: Arc<dyn LossFunction>,
    /// How both networks are updated.
    step_rule: Box<dyn TrainingStep>,
    /// Looked up when it is first needed.
    data: OnceLock<DataIdentity>,
    /// Whether the networks are not those of the plan.
    pub(crate) has_own_networks: bool,
    device: Device,
    /// Why the weights that the run begins with cannot be read.
    pub(crate) missing_start: Option<String>,
    /// Where whole passes run, if that is not the CPU.
    residence: Option<Residence>,
}

impl Trainer {
    /// Builds the plan's networks and opens its data.
    ///
    /// # Errors
    /// If the data cannot be opened or do not fit the plan, or training certainly needs more memory than there is.
    pub fn new(plan: Plan, device: &Device) -> Result<Self> {
        let loader = data::loader(&plan, data::open(&plan)?)?;
        Self::with_data(plan, loader, device)
    }

    /// Builds the plan's networks, for a loader of your own.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_data(plan: Plan, loader: Loader, device: &Device) -> Result<Self> {
        let seed = plan.config().train.seed;
        let precision = plan.config().train.precision;
        let problem = "other precisions than \"f32\" work on the CPU only: add --device cpu";
        refuse_if(precision != Precision::F32 && !device.is_cpu(), "train.precision", problem)?;
        checks::batches(&plan, &loader, 1)?;
        if device.is_cpu() {
            let sampling = loader.position().sampling;
            let repeats = sampling.order == gan_data::Order::WithReplacement;
            let batch = if repeats { sampling.batch } else { sampling.batch.min(sampling.len) };
            plan.check_memory(batch / gan_comm::launch::processes().unwrap_or(1))?;
        }
        let mut rng = Rng::stream(seed, "generator");
        let Architecture { input, layers, init } = &plan.generator;
        let generator = LayeredGenerator::new(&plan.config().latent, input, layers, *init, &mut rng, device)?;
        let generator = generator.with_precision(precision)?;
        let mut rng = Rng::stream(seed, "discriminator");
        let Architecture { input, layers, init } = &plan.discriminator;
        let discriminator =
            LayeredDiscriminator::new(input, layers, *init, &mut rng, device)?.with_precision(precision)?;
        let trainer = Self::with_networks(plan, Box::new(generator), Box::new(discriminator), loader, device)?;
        let mut trainer = Self { has_own_networks: false, ..trainer };
        trainer.load_initial_weights()?;
        Ok(trainer)
    }

    /// Returns a trainer of your own networks, which need not come from layer lists, with your own loader. Only the plan's loss, optimizer
    /// and loop settings are used; its networks and data are ignored.
    ///
    /// # Errors
    /// If the optimizers' state cannot be allocated.
    pub fn with_networks(
        plan: Plan,
        generator: Box<dyn Generator>,
        discriminator: Box<dyn Discriminator>,
        loader: Loader,
        device: &Device,
    ) -> Result<Self> {
        let config = plan.config();
        let seed = config.train.seed;
        checks::networks(&plan, generator.as_ref(), discriminator.as_ref(), &loader, device)?;
        Ok(Self {
            optimizer_g: Optimizer::new(config.optimizer.generator, &generator.params())?
                .freeze_layers(config.generator.freeze)?,
            optimizer_d: Optimizer::new(config.optimizer.discriminator, &discriminator.params())?
                .freeze_layers(config.discriminator.freeze)?,
            ema: config.train.has_average().then(|| Ema::new(&generator.params())).transpose()?,
            adaptive: Adaptive::of(&config.augment),
            noise: Rng::stream(seed, "noise"),
            // ignore-tidy-names: a random stream
            dropout: Rng::stream(seed, "dropout"),
            step: 0,
            rollbacks: 0,
            queued: VecDeque::new(),
            group: ProcessGroup::single(),
            loss: config.loss.kind.function(),
            step_rule: Box::new(StandardStep),
            data: OnceLock::new(),
            has_own_networks: true,
            device: device.clone(),
            missing_start: None,
            residence: None,
            plan,
            generator,
            discriminator,
            loader,
        })
    }

    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns G. If the networks live on a device that has failed, its numbers are those that it had when they were read last; the next step
    /// and the next checkpoint return the failure.
    pub fn generator(&self) -> &dyn Generator {
        let _ = self.settle();
        self.generator.as_ref()
    }

    /// Returns D, as [`Trainer::generator`] returns G.
    pub fn discriminator(&self) -> &dyn Discriminator {
        let _ = self.settle();
        self.discriminator.as_ref()
    }

    /// Returns the loss of both networks.
    pub fn loss(&self) -> &dyn LossFunction {
        self.loss.as_ref()
    }

    /// Replaces the loss by one of your own. What a run records still names the loss of the plan.
    pub fn set_loss(&mut self, loss: impl LossFunction + 'static) {
        self.loss = Arc::new(loss);
    }

    /// Replaces the training step, that is how a batch becomes an update of each network. It runs on the CPU.
    pub fn set_step(&mut self, step: impl TrainingStep + 'static) {
        self.leave_device();
        self.step_rule = Box::new(step);
    }

    /// Replaces both optimizers, for example by ones with update rules of your own ([`Optimizer::new`]), and returns to the CPU.
    pub fn set_optimizers(&mut self, generator: Optimizer, discriminator: Optimizer) {
        self.leave_device();
        self.optimizer_g = generator;
        self.optimizer_d = discriminator;
    }

    /// The training data.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        self.loader.dataset()
    }

    /// Returns the number of completed steps.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the number of rollbacks by alarms.
    pub fn rollbacks(&self) -> u64 {
        self.rollbacks
    }

    /// Sets the number of rollbacks.
    pub fn set_rollbacks(&mut self, rollbacks: u64) {
        self.rollbacks = rollbacks;
    }

    /// Returns the identity of the data, as checkpoints store it.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn data_identity(&self) -> Result<&DataIdentity> {
        if let Some(known) = self.data.get() {
            return Ok(known);
        }
        let found = DataIdentity::of(self.loader.dataset().as_ref())?;
        Ok(self.data.get_or_init(|| found))
    }

    /// Queues `z` `[N, latent]` as the next latent vectors, in the order of the calls, to reproduce what another program did. Checkpoints
    /// do not contain them.
    pub fn queue_latents(&mut self, z: Tensor) {
        self.queued.push_back(z);
    }

    /// Does one step.
    ///
    /// # Errors
    /// If the data cannot be read, a loss or gradient is not finite, or the device fails, after which no step succeeds.
    pub fn advance(&mut self) -> Result<StepReport> {
        self.advance_watched::<Error>(&mut |_, _| Ok(()))
    }

    /// Does one step and lets `look` see both networks between the updates. If a network is not updated, nothing
    /// changes between its moments.
    ///
    /// # Errors
    /// As [`Trainer::advance`], and whatever `look` returns.
    pub fn advance_watched<E: From<Error>>(&mut self, look: &mut Look<E>) -> Result<StepReport, E> {
        if let (0, Some(problem)) = (self.step, &self.missing_start) {
            return Err(Error::config("train.from", problem.clone()).into());
        }
        self.group.order(Order::Step { rollbacks: self.rollbacks }).map_err(Error::from)?;
        let turn = Turn::of(&self.plan.config().train, self.step, self.loader.batches_per_epoch());
        let mut report = StepReport { step: self.step + 1, epoch: self.epoch(), ..StepReport::default() };
        let mut last = Last { whole: self.plan.config().train.batch, ..Last::default() };
        let mut objective = self.plan.objective(&self.loss, self.step * turn.d, self.run_progress());
        self.optimizer_g.set_rates(self.rates(self.optimizer_g.beta2()));
        self.optimizer_d.set_rates(self.rates(self.optimizer_d.beta2()));
        look(Moment::BeforeD, self)?;
        self.send()?;
        for update in 0..turn.d {
            objective = self.plan.objective(&self.loss, self.step * turn.d + update, self.run_progress());
            let is_last = update + 1 == turn.d && turn.g > 0;
            last = self.update_discriminator(&objective, is_last, &mut report).inspect_err(|e| self.failed(e))?;
        }
        look(Moment::AfterD, self)?;
        for _ in 0..turn.g {
            self.update_generator(&mut last, &objective, &mut report).inspect_err(|e| self.failed(e))?;
        }
        look(Moment::AfterG, self)?;
        self.average_running()?;
        self.average_weights()?;
        self.step = report.step;
        self.group.done();
        Ok(report)
    }

    /// Marks the step's order as carried out if sums are not finite: they are so on every rank, and each of them has ended the step.
    fn failed(&self, error: &Error) {
        if matches!(error, Error::NotFinite { .. }) {
            self.group.done();
        }
    }

    /// Updates D; if `g_follows`, G may learn from the same samples.
    fn update_discriminator(
        &mut self,
        objective: &Objective,
        g_follows: bool,
        report: &mut StepReport,
    ) -> Result<Last> {
        let start = Instant::now();
        let batch = self.loader.next_batch()?;
        let real = batch.images.to_device(&self.device)?;
        let classes = match self.generator.classes() {
            Some(_) => batch.labels.map(|labels| labels.to_device(&self.device)).transpose()?,
            None => None,
        };
        report.parts.data += start.elapsed().as_secs_f64();
        let whole = batch.whole;
        report.images += whole as u64;
        let train = &self.plan.config().train;
        let mode = train.fakes_mode;
        let reuse = train.reuse_fakes;
        if self.residence.is_some() {
            let samples = (&real, classes.as_ref());
            let is_learned_from = reuse && g_follows;
            let update = self.update_discriminator_there(
                samples,
                whole,
                [is_learned_from, mode == FakesMode::Train],
                objective,
                report.step,
            )?;
            self.updated(update, report);
            return Ok(Last {
                whole,
                seen: None,
                is_seen_there: is_learned_from,
                real: Some(real),
                classes,
                zero: update.zero,
            });
        }
        let seen = self.make_fakes(reuse, Some(&real), classes.as_ref(), whole, mode, &mut report.parts)?;
        let update = self.step_rule.update_discriminator(UpdateContext {
            discriminator: self.discriminator.as_ref(),
            optimizer: &mut self.optimizer_d,
            samples: &seen,
            objective,
            group: &self.group,
            rng: &mut self.dropout,
            step: report.step,
        })?;
        self.updated(update, report);
        let is_seen_there = false;
        Ok(Last { whole, seen: reuse.then_some(seen), is_seen_there, real: Some(real), classes, zero: update.zero })
    }

    fn update_generator(&mut self, last: &mut Last, objective: &Objective, report: &mut StepReport) -> Result<()> {
        if self.draws_new_reals() {
            self.draw_reals(last, report)?;
        }
        if self.residence.is_some() {
            let update = self.update_generator_there(last, objective, report.step)?;
            report.g(update);
            return Ok(());
        }
        let seen = match last.seen.take() {
            Some(seen) => seen,
            None => {
                let classes = self.classes(last)?;
                let real = last.real.as_ref();
                self.make_fakes(true, real, classes.as_ref(), last.whole, FakesMode::Train, &mut report.parts)?
            }
        };
        let cx = UpdateContext {
            discriminator: self.discriminator.as_ref(),
            optimizer: &mut self.optimizer_g,
            samples: &seen,
            objective,
            group: &self.group,
            rng: &mut self.dropout,
            step: report.step,
        };
        report.g(self.step_rule.update_generator(cx, last.zero)?);
        Ok(())
    }

    /// Returns the device of the networks.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

#[cfg(test)]
mod tests;
