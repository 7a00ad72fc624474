//! The updates of both networks on a device.
//!
//! An update consists of segments: work that only reads what lies on the device. Between two of them the host reads outputs or norms, and sends
//! slopes. A backend that can record work runs an update twice, records its segments the third time, and replays them from then on.

use super::inputs::Input;
use super::network::ResidentNetwork;
use super::outputs::{Outputs, discriminator_loss, generator_loss};
use super::pass::Draw;
use super::passes::{Made, Scored};
use super::penalties::{Due, Way};
use super::recorder::Recorder;
use super::{Latents, Resident, Update};
use crate::config::FakesMode;
use crate::ema::Ema;
use crate::error::Result;
use crate::optimizers::Optimizer;
use crate::step::{DUpdate, GUpdate, Seconds, finite, judged, mean, mean_probability};
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::penalties::Effect;
use gan_core::{Network, Side};
use gan_cuda::step::StepBackend;
use gan_kernels::backend::size;
use gan_kernels::fused::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Both networks on a device.
pub(super) struct Engine<B: StepBackend> {
    pub backend: B,
    pub generator: ResidentNetwork<B>,
    pub discriminator: ResidentNetwork<B>,
    /// What the host has sent, in f32, by its length too: recorded work goes on reading an array where it was.
    pub inputs: BTreeMap<(Input, usize), B::Buffer>,
    /// Lengths of what it has sent for the next segments.
    pub lengths: BTreeMap<Input, usize>,
    /// D's outputs for real and then for generated samples, in f32.
    outputs: B::Buffer,
    /// Sums of squares: of the parameters' gradient, and of the input's gradient for each penalty.
    pub squares: B::Buffer,
    /// Generated samples.
    pub made: Option<Made<B>>,
    /// Shapes of the last generated samples, and their classes.
    latest: Option<(Shape, Option<Tensor>)>,
    /// D's passes over the samples of an update.
    pub scored: Vec<Scored<B>>,
    recorder: Recorder<B>,
    /// Number of samples that D sees together.
    pub pack: usize,
    seed: u32,
}

/// Numbers of samples, and the class of each.
#[derive(Clone)]
pub(super) struct Shape {
    /// Numbers of what D sees: of real and generated samples, or of packs of them.
    pub counts: [usize; 2],
    /// Number of generated samples.
    pub made: usize,
    pub classes: Option<Arc<Vec<u32>>>,
}

impl<B: StepBackend> Engine<B> {
    pub fn new(
        backend: &B,
        [generator, discriminator]: [&Network; 2],
        [of_g, of_d]: [&Optimizer; 2],
        ema: Option<&Ema>,
        seed: u64,
    ) -> Result<Self> {
        Ok(Self {
            generator: ResidentNetwork::new(backend, generator, Some(of_g), ema)?,
            discriminator: ResidentNetwork::new(backend, discriminator, Some(of_d), None)?,
            inputs: BTreeMap::new(),
            lengths: BTreeMap::new(),
            outputs: backend.f32_zeros(0),
            squares: backend.f32_zeros(B::SQUARES),
            made: None,
            latest: None,
            scored: vec![],
            recorder: Recorder::default(),
            pack: 1,
            seed: (seed ^ seed >> 32) as u32,
            backend: backend.clone(),
        })
    }

    /// Runs, records or replays a segment.
    fn segment(&mut self, name: &str, f: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut recorder = std::mem::take(&mut self.recorder);
        let backend = self.backend.clone();
        let done = recorder.play(&backend, name, || f(self));
        self.recorder = recorder;
        done
    }

    /// Prepares an update whose signature says what it consists of; the same work follows from the same signature.
    fn begin(&mut self, signature: String, is_recordable: bool, clock: u64) {
        let is_recordable = is_recordable && self.backend.records();
        self.recorder.begin(&self.backend, signature, is_recordable);
        self.send_input(Input::Clock, &[clock as f32]);
        self.discriminator.plan.weights_changed();
        self.generator.plan.weights_changed();
    }

    /// Returns the source of dropout's random numbers. Passes that draw from it are numbered from `pass` on.
    fn draw<'a>(&self, clock: &'a B::Buffer, rng: &'a mut Rng, pass: u32) -> Draw<'a, B> {
        if B::DRAWS { Draw::There { seed: self.seed, pass, clock } } else { Draw::Host(rng) }
    }

    /// Runs `f` with a source of random numbers.
    pub fn drawing<R>(&mut self, rng: &mut Rng, pass: u32, f: impl FnOnce(&mut Self, &mut Draw<B>) -> R) -> R {
        let key = (Input::Clock, 1);
        let clock = self.inputs.remove(&key).unwrap_or_else(|| self.backend.f32_zeros(1));
        let mut draw = self.draw(&clock, rng, pass);
        let result = f(self, &mut draw);
        self.inputs.insert(key, clock);
        result
    }

    /// Keeps outputs for the host, one after the other.
    pub fn keep(&mut self, outputs: &[Value<B>]) {
        let backend = &self.backend;
        let mut from = 0;
        for y in outputs {
            let y = backend.slice(y);
            let mut all = backend.slice_mut(&mut self.outputs);
            backend.copy_to(y, backend.part_mut(&mut all, from..from + backend.len(y)));
            from += backend.len(y);
        }
    }

    /// Allocates the arrays for the outputs of `samples` and for `sums` of squares. If an array has to grow, recorded work is discarded, because
    /// it would write to the old one.
    fn prepare(&mut self, samples: usize, sums: usize) {
        let width = size(self.discriminator.plan.output());
        let backend = self.backend.clone();
        let grown = |buffer: &mut B::Buffer, len: usize| {
            let grows = backend.len(backend.slice(buffer)) < len;
            if grows {
                *buffer = backend.f32_zeros(len);
            }
            grows
        };
        let has_moved = [
            grown(&mut self.outputs, samples * width),
            grown(&mut self.squares, sums * B::SQUARES),
            self.discriminator.prepare(samples),
        ];
        if has_moved.contains(&true) {
            self.recorder = Recorder::default();
        }
    }

    /// Returns the outputs for each of several sets of samples.
    fn read_outputs<const N: usize>(&self, counts: [usize; N]) -> Result<[Outputs; N]> {
        let width = size(self.discriminator.plan.output());
        let whole = counts.iter().sum::<usize>() * width;
        let all = self.backend.get(self.backend.part(self.backend.slice(&self.outputs), 0..whole));
        let mut from = 0;
        let mut one = |count: usize| {
            let part = &all[from..from + count * width];
            from += count * width;
            Outputs::new(part, count)
        };
        let found = counts.into_iter().map(&mut one).collect::<Result<Vec<_>>>()?;
        Ok(found.try_into().unwrap_or_else(|_| unreachable!("one for each count")))
    }

    /// Returns a sum of squares, and waits for it.
    pub fn read_squares(&self, index: usize) -> f64 {
        let place = index * B::SQUARES..(index + 1) * B::SQUARES;
        self.backend.squares(self.backend.part(self.backend.slice(&self.squares), place))
    }
}

/// Returns samples or latents as numbers.
fn numbers(t: &Tensor) -> Result<Vec<f32>> {
    Ok(t.flatten_all()?.to_vec1()?)
}

impl<B: StepBackend> Engine<B> {
    /// Sends latents and classes.
    fn take_latents(&mut self, latents: &Latents, real: usize) -> Result<Shape> {
        self.send_input(Input::Latents, &numbers(latents.z)?);
        let classes: Option<Vec<u32>> = latents.classes.map(Tensor::to_vec1).transpose()?;
        if let Some(classes) = &classes {
            self.backend.set_classes(classes);
        }
        let made = latents.z.dim(0)?;
        let counts = [real, made].map(|count| count / self.pack);
        let shape = Shape { counts, made, classes: classes.map(Arc::new) };
        self.latest = Some((shape.clone(), latents.classes.cloned()));
        Ok(shape)
    }
}

impl<B: StepBackend> Resident for Engine<B> {
    fn update_discriminator(&mut self, latents: &Latents, real: &Tensor, update: Update) -> Result<DUpdate> {
        let Update { optimizer, objective, rng, step } = update;
        self.pack = objective.view.pack;
        let shape = self.take_latents(latents, real.dim(0)?)?;
        self.send_input(Input::Real, &numbers(real)?);
        let joint = objective.joint_batch;
        let is_linear = self.discriminator.plan.linearizes() && !joint;
        let due = Due::all(objective, is_linear);
        self.prepare(shape.counts.iter().sum(), 1 + due.len());
        self.made = None;
        let by_averages = latents.mode == FakesMode::Eval;
        if by_averages {
            self.make_by_averages(&shape)?;
        }
        self.send_transforms(objective, [real.dim(0)?, shape.made], rng);
        let kinds: Vec<_> = due.iter().map(Due::signature).collect();
        let Latents { is_learned_from, .. } = *latents;
        let signature = format!("d {:?} {joint} {by_averages} {is_learned_from} {kinds:?}", shape.counts);
        let is_whole = |due: &Due| shape.classes.is_none() || due.penalty.share == 1.0;
        let is_recordable = due.iter().all(|due| due.stays_there() && is_whole(due));
        self.begin(signature, is_recordable, 2 * optimizer.averages.steps);
        let shared = [Side::Real, Side::Fake].map(|side| due.iter().any(|due| due.way == Way::Shared(side)));
        self.segment("score", |engine| {
            if !by_averages {
                engine.make(&shape, is_learned_from, rng)?;
            }
            engine.score(&shape, joint, shared, rng)
        })?;
        let outputs = self.read_outputs(shape.counts)?;
        let loss = discriminator_loss(objective, outputs.each_ref(), latents.classes)?;
        let by_outputs = loss.backward()?;
        let loss = finite(f64::from(loss.to_scalar::<f32>()?), "loss_d", step)?;
        let slopes = outputs.each_ref().map(|side| side.slopes(&by_outputs));
        let slopes = slopes.into_iter().collect::<Result<Vec<_>>>()?.concat();
        self.send_input(Input::Slopes, &slopes);
        self.send_weights(&due, &shape);
        let mut penalty = 0.0;
        self.segment("learn", |engine| {
            penalty = engine.learn(&due, &shape, rng)?;
            Ok(())
        })?;
        self.discriminator.set_used(self.recorder.gradients(self.discriminator.used()));
        for (index, due) in due.iter().enumerate().filter(|(_, due)| due.stays_there()) {
            penalty += due.penalty.weight * 0.5 * self.read_squares(1 + index) / due.count(&shape) as f64;
        }
        finite(penalty, "penalty_d", step)?;
        let norm = self.read_squares(0).sqrt();
        stepped(&mut self.discriminator, norm, optimizer, objective.clip_norm, "grad_norm_d", step)?;
        for penalty in &objective.penalties {
            if let Effect::Weights(limited) = penalty.kind.effect() {
                self.discriminator.map_weights(|weights| limited(weights, penalty.weight))?;
            }
        }
        let [real, fake, accuracy, zero, sign] = judged(objective, &outputs[0].logits, &outputs[1].logits)?;
        let penalty = (!due.is_empty()).then_some(penalty);
        Ok(DUpdate { loss, real, fake, accuracy, grad_norm: norm, penalty, zero, sign, seconds: Seconds::default() })
    }

    fn update_generator(
        &mut self,
        fresh: Option<&Latents>,
        real: Option<&Tensor>,
        update: Update,
        zero: f64,
    ) -> Result<GUpdate> {
        let Update { optimizer, objective, rng, step } = update;
        self.pack = objective.view.pack;
        let properties = objective.loss.properties();
        let real = real.filter(|_| properties.is_relativistic);
        let n = real.map_or(Ok(0), |real| real.dim(0))?;
        if let Some(fresh) = fresh {
            self.take_latents(fresh, n)?;
        }
        let Some((latest, classes)) = self.latest.clone() else { return Err(nothing_made()) };
        let shape = Shape { counts: [n / self.pack, latest.counts[1]], ..latest };
        if let Some(real) = real {
            self.send_input(Input::Real, &numbers(real)?);
        }
        self.prepare(shape.counts.iter().sum(), 1);
        self.send_transforms(objective, [n, shape.made], rng);
        match fresh {
            Some(_) => self.begin(format!("g {:?}", shape.counts), true, 2 * optimizer.averages.steps + 1),
            // What G's pass has left belongs to the work of D's update.
            None => self.recorder.go_on(format!("g of D's {:?}", shape.counts)),
        }
        self.segment("judge", |engine| {
            if fresh.is_some() {
                engine.make(&shape, true, rng)?;
            }
            engine.judge(&shape, rng)
        })?;
        let (compared, fake) = match n {
            0 => (None, self.read_outputs([shape.counts[1]])?),
            _ => {
                let [real, fake] = self.read_outputs(shape.counts)?;
                (Some(real.logits.as_detached_tensor()), [fake])
            }
        };
        let [fake] = fake;
        let loss = generator_loss(objective, &fake, compared.as_ref(), classes.as_ref())?;
        let by_outputs = loss.backward()?;
        let loss = finite(f64::from(loss.to_scalar::<f32>()?), "loss_g", step)?;
        self.send_input(Input::Slopes, &fake.slopes(&by_outputs)?);
        self.segment("follow", |engine| engine.teach(&shape))?;
        self.generator.set_used(self.recorder.gradients(self.generator.used()));
        let norm = self.read_squares(0).sqrt();
        stepped(&mut self.generator, norm, optimizer, objective.clip_norm, "grad_norm_g", step)?;
        let zero = match compared.filter(|_| !properties.has_threshold) {
            Some(logits) => mean(&logits)?,
            None => zero,
        };
        let fake = mean_probability(&(fake.logits.as_detached_tensor() - zero)?)?;
        Ok(GUpdate { loss, fake, grad_norm: norm, seconds: Seconds::default() })
    }

    fn follow(&mut self, weight: f64) {
        self.generator.follow(weight);
    }

    fn send(&mut self, [of_g, of_d]: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        self.made = None;
        // What was recorded may begin with numbers that are there no longer.
        self.recorder = Recorder::default();
        self.generator.send(Some(of_g), ema)?;
        self.discriminator.send(Some(of_d), None)
    }

    fn fetch(&self, [of_g, of_d]: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        let [g, d] = [self.generator.fetch()?, self.discriminator.fetch()?];
        self.generator.keep(g, of_g, ema)?;
        self.discriminator.keep(d, of_d, None)
    }

    fn sample(&mut self, z: &Tensor, classes: Option<&Tensor>) -> Result<Tensor> {
        let made = self.generator.sample(z, classes)?;
        // An update may go on with the classes of its own samples.
        if let Some((Shape { classes: Some(classes), .. }, _)) = &self.latest {
            self.backend.set_classes(classes);
        }
        Ok(made)
    }

    fn requested(&self) -> usize {
        self.backend.requested()
    }

    fn has_derivatives(&self) -> bool {
        self.discriminator.plan.has_jvp()
    }
}

/// Updates a network with its gradient of this norm; `name` is for messages.
fn stepped<B: StepBackend>(
    network: &mut ResidentNetwork<B>,
    norm: f64,
    optimizer: &mut Optimizer,
    most: Option<f64>,
    name: &'static str,
    step: u64,
) -> Result<()> {
    finite(norm, name, step)?;
    let factor = most.filter(|most| norm > *most).map_or(1.0, |most| most / norm);
    network.update(&optimizer.next_step()?, factor);
    Ok(())
}

pub(super) fn nothing_made() -> crate::Error {
    candle_core::Error::Msg("no samples were generated for this update".into()).into()
}
