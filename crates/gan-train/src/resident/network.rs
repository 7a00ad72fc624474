//! One network on a device: its parameters, gradients, moments, running averages and moving averages.

use crate::ema::Ema;
use crate::error::Result;
use crate::optimizers::Optimizer;
use candle_core::{Device, Tensor, Var};
use gan_base::Rng;
use gan_core::{Network, Param, Portable, RandomTensors, RunningNorm};
use gan_cuda::step::StepBackend;
use gan_kernels::backend::size;
use gan_kernels::fused::{FusedSequential, NeedsGrad, PassContext, Value};
use gan_kernels::update::{Average, Step};
use std::sync::Arc;

/// A network with all its numbers on a device.
#[derive(Debug)]
pub(super) struct ResidentNetwork<B: StepBackend> {
    pub backend: B,
    pub plan: FusedSequential<B>,
    /// The host's variable that holds the parameters.
    parameters: Var,
    norms: Vec<RunningNorm>,
    theta: B::Buffer,
    /// The optimizer's averages.
    averages: Vec<B::Buffer>,
    /// Running mean and variance of each batch norm.
    running: Vec<[B::Buffer; 2]>,
    /// Moving averages of the parameters and of each running average, if there are any.
    ema: Vec<B::Buffer>,
    /// Places for gradients, and the number of those that this update has used.
    gradients: Vec<B::Buffer>,
    used: usize,
    /// The gradient of the sum of all logits by the outputs: a one for the first output of each sample, in the format of activations.
    ones: B::Buffer,
}

/// Where the random numbers of dropouts come from.
pub(super) enum Draw<'a, B: StepBackend> {
    /// The host's stream.
    Host(&'a mut Rng),
    /// The device, from a seed, the number of the pass in its step, and the step's number there.
    There { seed: u32, pass: u32, clock: &'a B::Buffer },
}

/// Most layers of a network whose random numbers differ.
const SITES: u32 = 1 << 10;

impl<B: StepBackend> ResidentNetwork<B> {
    /// Allocates a network. Its numbers are undefined until [`ResidentNetwork::send`].
    pub fn new(backend: &B, network: &Network, optimizer: &Optimizer, ema: Option<&Ema>) -> Result<Self> {
        let Portable { plan, parameters, norms } = network.on_backend(backend.clone())?;
        let zeros = |len: usize| backend.f32_zeros(len);
        let len = parameters.elem_count();
        let channels = |norm: &RunningNorm| norm.averages[0].elem_count();
        let averages = optimizer.averages.variables.first().map_or(0, |variable| variable.averages.len());
        let averaged = ema.map_or(vec![], |_| {
            let running = norms.iter().flat_map(|norm| [channels(norm); 2]);
            std::iter::once(len).chain(running).map(zeros).collect()
        });
        Ok(Self {
            theta: zeros(len),
            averages: (0..averages).map(|_| zeros(len)).collect(),
            running: norms.iter().map(|norm| [0, 1].map(|_| zeros(channels(norm)))).collect(),
            ema: averaged,
            gradients: vec![],
            used: 0,
            ones: backend.uninit(0),
            backend: backend.clone(),
            plan,
            parameters,
            norms,
        })
    }

    /// Prepares for passes over `samples`. Returns whether something that recorded work reads has moved.
    pub fn prepare(&mut self, samples: usize) -> bool {
        let width = size(self.plan.output());
        let grows = self.backend.len(self.backend.slice(&self.ones)) < samples * width;
        if grows {
            let mut ones = vec![0.0; samples * width];
            ones.iter_mut().step_by(width).for_each(|to| *to = 1.0);
            self.ones = self.values(&ones);
        }
        grows
    }

    /// Returns the gradient of the sum of all logits by the outputs of some samples.
    pub fn ones(&self, samples: usize) -> B::Buffer {
        let len = samples * size(self.plan.output());
        self.backend.copy(self.backend.part(self.backend.slice(&self.ones), 0..len))
    }

    /// Writes all numbers from the host's.
    pub fn send(&mut self, optimizer: &Optimizer, ema: Option<&Ema>) -> Result<()> {
        let backend = self.backend.clone();
        let write = |values: &Tensor, to: &mut B::Buffer| -> Result<()> {
            backend.set(&values.flatten_all()?.to_vec1::<f32>()?, backend.slice_mut(to));
            Ok(())
        };
        write(&self.parameters.as_detached_tensor(), &mut self.theta)?;
        for (average, to) in of(optimizer).iter().zip(&mut self.averages) {
            write(&average.tensor()?, to)?;
        }
        for (norm, to) in self.norms.iter().zip(&mut self.running) {
            for (param, to) in norm.averages.iter().zip(to) {
                write(&param.tensor()?, to)?;
            }
        }
        for (average, to) in self.averaged(ema).into_iter().zip(&mut self.ema) {
            write(&average.tensor()?, to)?;
        }
        self.plan.weights_changed();
        Ok(())
    }

    /// Writes all numbers to the host's.
    pub fn fetch(&self, optimizer: &Optimizer, ema: Option<&Ema>) -> Result<()> {
        let read = |from: &B::Buffer| Tensor::new(self.backend.get(self.backend.slice(from)), &Device::Cpu);
        self.parameters.set(&read(&self.theta)?)?;
        for (average, from) in of(optimizer).iter().zip(&self.averages) {
            average.set(0, &read(from)?)?;
        }
        for (norm, from) in self.norms.iter().zip(&self.running) {
            for (param, from) in norm.averages.iter().zip(from) {
                param.set(&read(from)?)?;
            }
        }
        for (average, from) in self.averaged(ema).into_iter().zip(&self.ema) {
            average.set(0, &read(from)?)?;
        }
        Ok(())
    }

    /// Returns the host's moving averages in this network's order: of the parameters, then of each running average.
    fn averaged<'a>(&self, ema: Option<&'a Ema>) -> Vec<&'a Average> {
        let Some(ema) = ema else { return vec![] };
        let running = self.norms.iter().flat_map(|norm| norm.averages.iter().map(Param::var));
        let all = std::iter::once(&self.parameters).chain(running);
        let find = |var: &Var| ema.averages.variables.iter().find(|known| known.var.id() == var.id());
        all.filter_map(|var| find(var)?.averages.first()).collect()
    }

    /// Returns a training pass over `groups` batches of `samples`, with random numbers for its dropouts: of the host, or drawn there.
    pub fn context(
        &self,
        needs: NeedsGrad,
        [groups, samples]: [usize; 2],
        classes: Option<&Arc<Vec<u32>>>,
        draw: &mut Draw<B>,
    ) -> Result<PassContext<B>> {
        let backend = &self.backend;
        let mut cx = PassContext::new(self.plan.len(), needs);
        cx.classes = classes.cloned();
        cx.groups = groups;
        let dropouts = self.plan.dropouts();
        let mut noise: Vec<B::Buffer> =
            dropouts.iter().map(|(_, len)| backend.uninit(groups * samples * len)).collect();
        for group in 0..groups {
            for ((index, len), noise) in dropouts.iter().zip(&mut noise) {
                let len = samples * len;
                let mut all = backend.slice_mut(noise);
                let part = backend.part_mut(&mut all, group * len..(group + 1) * len);
                match draw {
                    Draw::Host(rng) => {
                        let uniform = rng.uniform_tensor(0.0, 1.0, len, &Device::Cpu)?;
                        backend.copy_to(backend.slice(&self.wide(&uniform.to_vec1::<f32>()?)), part);
                    }
                    Draw::There { seed, pass, clock } => {
                        let site = (*pass + group as u32) * SITES + *index as u32;
                        backend.uniform(part, *seed, site, backend.slice(clock));
                    }
                }
            }
        }
        if let Draw::There { pass, .. } = draw {
            *pass += groups as u32;
        }
        for ((index, _), noise) in dropouts.into_iter().zip(noise) {
            cx.noise[index] = Some(noise);
        }
        Ok(cx)
    }

    /// Returns an evaluation pass, with the running averages.
    pub fn evaluation(&self, classes: Option<&Arc<Vec<u32>>>) -> PassContext<B> {
        let mut cx = PassContext::new(self.plan.len(), NeedsGrad { input: false, parameters: false });
        cx.classes = classes.cloned();
        for (index, running) in self.plan.batch_norms().into_iter().zip(&self.running) {
            cx.given[index] = Some(running.each_ref().map(|of| self.backend.get(self.backend.slice(of))));
        }
        cx
    }

    /// Returns numbers of the host there, in f32.
    fn wide(&self, values: &[f32]) -> B::Buffer {
        let mut sent = self.backend.f32_zeros(values.len());
        self.backend.set(values, self.backend.slice_mut(&mut sent));
        sent
    }

    /// Returns numbers of the host in the format of activations.
    pub fn values(&self, values: &[f32]) -> B::Buffer {
        self.narrow(self.backend.slice(&self.wide(values)))
    }

    /// Returns f32 numbers in the format of activations.
    pub fn narrow(&self, values: B::Slice<'_>) -> B::Buffer {
        let mut to = self.backend.uninit(self.backend.len(values));
        self.backend.copy_to(values, self.backend.slice_mut(&mut to));
        to
    }

    /// Returns f32 samples `[N, C, H, W]` or `[N, F]` in the layout and format of activations.
    pub fn samples(&self, values: B::Slice<'_>) -> B::Buffer {
        let [h, w, c] = self.plan.input();
        self.backend.channels_last(values, c, h * w)
    }

    /// Returns samples of the host in the layout and format of activations.
    pub fn samples_of_host(&self, values: &[f32]) -> B::Buffer {
        self.samples(self.backend.slice(&self.wide(values)))
    }

    /// Runs a training pass forward, whose statistics the running averages follow.
    pub fn forward(&mut self, x: impl Into<Value<B>>, samples: usize, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = self.backend.clone();
        let y = self.plan.forward(x, samples, backend.slice(&self.theta), cx)?;
        let found = cx.norms.iter().flatten().zip(&self.norms).zip(&mut self.running);
        for ((norm, settings), [mean, variance]) in found {
            let Some(count) = backend.norm_count(norm) else { continue };
            let unbias = if settings.is_unbiased { count as f32 / (count as f32 - 1.0) } else { 1.0 };
            let [mean, variance] = [mean, variance].map(|average| backend.slice_mut(average));
            backend.follow_norm(norm, mean, variance, settings.momentum as f32, unbias);
        }
        Ok(y)
    }

    /// Returns the input's gradient from that of the output, if the pass needs it, and keeps that of the parameters.
    pub fn backward(&mut self, cx: PassContext<B>, samples: usize, g: B::Buffer) -> Option<B::Buffer> {
        let place = cx.needs.parameters.then(|| self.place());
        let backend = &self.backend;
        let to = place.map(|place| backend.slice_mut(&mut self.gradients[place]));
        self.plan.backward(cx, samples, backend.slice(&self.theta), g, to)
    }

    /// Keeps the parameters' gradient of derivatives in directions, each multiplied by the gradient of its derivative, and of the outputs, for
    /// a pass whose [`FusedSequential::adjoints`] have run.
    pub fn linear_grads(
        &mut self,
        cx: PassContext<B>,
        samples: usize,
        directions: B::Buffer,
        of_output: Option<&B::Buffer>,
    ) -> Result<()> {
        let place = self.place();
        let backend = &self.backend;
        let to = backend.slice_mut(&mut self.gradients[place]);
        Ok(self.plan.linear_grads(cx, samples, backend.slice(&self.theta), directions, of_output, to)?)
    }

    /// Returns the gradient of the sum of all outputs by the input, for a pass that saved what both gradients need.
    pub fn adjoints(&self, cx: &mut PassContext<B>, samples: usize) -> Option<B::Buffer> {
        self.plan.adjoints(cx, samples, self.backend.slice(&self.theta), self.ones(samples))
    }

    /// Keeps the parameters' gradient of the outputs' derivatives, at points and in directions that are both in `both`, from the gradient of
    /// each derivative.
    pub fn jvp(&mut self, both: B::Buffer, samples: usize, cx: PassContext<B>, g: B::Buffer) -> Result<()> {
        let (_, cx) = self.plan.jvp_forward(both, samples, self.backend.slice(&self.theta), cx)?;
        let place = self.place();
        let backend = &self.backend;
        let to = backend.slice_mut(&mut self.gradients[place]);
        self.plan.jvp_backward(cx, samples, backend.slice(&self.theta), g, to);
        Ok(())
    }

    /// Returns a place for a gradient that this update has not used, filled with zeros, because passes write or add to different parts.
    fn place(&mut self) -> usize {
        let place = self.used;
        if place == self.gradients.len() {
            self.gradients.push(self.backend.f32_zeros(self.parameters.elem_count()));
        }
        self.backend.clear(self.backend.slice_mut(&mut self.gradients[place]));
        self.used += 1;
        place
    }

    /// Forgets the gradients of an update.
    pub fn forget_gradients(&mut self) {
        self.used = 0;
    }

    /// Returns the number of this update's gradients.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Sets the number of this update's gradients, which recorded work has written.
    pub fn set_used(&mut self, used: usize) {
        self.used = used;
    }

    /// Sums the gradients of this update, and writes the square of the sum's norm.
    pub fn sum_gradients(&mut self, to: B::SliceMut<'_>) {
        let backend = self.backend.clone();
        backend.join();
        if let Some((first, others)) = self.gradients[..self.used].split_first_mut() {
            for more in others {
                backend.add(backend.slice(more), backend.slice_mut(first));
            }
        }
        if let Some(gradient) = self.gradient() {
            backend.squares_to(backend.slice(gradient), to);
        }
    }

    /// Returns the gradient of this update, if there is one.
    fn gradient(&self) -> Option<&B::Buffer> {
        self.gradients[..self.used].first()
    }

    /// Updates the parameters with the gradient of this update, multiplied by `factor`.
    pub fn update(&mut self, step: &Step, factor: f64) {
        let backend = self.backend.clone();
        let Some(gradient) = self.gradient() else { return };
        let scaled = (factor != 1.0).then(|| {
            let mut scaled = backend.f32_zeros(self.parameters.elem_count());
            backend.follow(factor as f32, backend.slice(gradient), backend.slice_mut(&mut scaled));
            scaled
        });
        let mut averages = std::mem::take(&mut self.averages);
        let mut theta = std::mem::replace(&mut self.theta, backend.f32_zeros(0));
        if let (Some((second, first)), Some(gradient)) =
            (averages.split_last_mut(), scaled.as_ref().or(self.gradient()))
        {
            let first = first.first_mut().map(|first| backend.slice_mut(first));
            let gradient = backend.slice(gradient);
            backend.optimizer_step(step, backend.slice_mut(&mut theta), gradient, first, backend.slice_mut(second));
        }
        (self.averages, self.theta) = (averages, theta);
        self.plan.weights_changed();
    }

    /// Replaces the parameters by a function of them.
    pub fn map_weights(&mut self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<()> {
        let old = Tensor::new(self.backend.get(self.backend.slice(&self.theta)), &Device::Cpu)?;
        self.backend.set(&f(&old)?.to_vec1::<f32>()?, self.backend.slice_mut(&mut self.theta));
        self.plan.weights_changed();
        Ok(())
    }

    /// Updates the moving averages by a weight for the new values.
    pub fn follow(&mut self, weight: f64) {
        let backend = &self.backend;
        let sources = std::iter::once(&self.theta).chain(self.running.iter().flatten());
        for (average, new) in self.ema.iter_mut().zip(sources) {
            backend.follow(weight as f32, backend.slice(new), backend.slice_mut(average));
        }
    }
}

/// Returns the averages of an optimizer of one variable.
fn of(optimizer: &Optimizer) -> &[Average] {
    optimizer.averages.variables.first().map_or(&[], |variable| &variable.averages)
}
