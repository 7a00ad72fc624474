//! One network on a device: its parameters, gradients, moments, running averages and moving averages.

use super::spectral_norm::SpectralNorms;
use crate::ema::Ema;
use crate::error::Result;
use crate::optimizers::Optimizer;
use candle_core::{Device, Tensor, Var};
use gan_core::{Network, Param, Portable, RunningNorm};
use gan_cuda::step::StepBackend;
use gan_kernels::backend::size;
use gan_kernels::fused::FusedSequential;
use gan_kernels::update::{Average, Step};

/// A network with all its numbers on a device.
#[derive(Debug)]
pub(super) struct ResidentNetwork<B: StepBackend> {
    pub backend: B,
    pub plan: FusedSequential<B>,
    /// Plan of passes for inference.
    pub inference: FusedSequential<B>,
    /// Shape of one sample.
    pub sample_shape: Vec<usize>,
    /// The host's variable that holds the parameters.
    parameters: Var,
    pub norms: Vec<RunningNorm>,
    pub theta: B::Buffer,
    /// The optimizer's averages.
    averages: Vec<B::Buffer>,
    /// Running mean and variance of each batch norm.
    pub running: Vec<[B::Buffer; 2]>,
    pub spectral_norms: SpectralNorms<B>,
    /// Moving averages of the parameters, of each running average and of each direction of spectral norm, if there are any.
    pub ema: Vec<B::Buffer>,
    /// Places for gradients, and the number of those that this update has used.
    pub gradients: Vec<B::Buffer>,
    used: usize,
    /// The gradient of the sum of all logits by the outputs: a one for the first output of each sample, in the format of activations.
    ones: B::Buffer,
}

impl<B: StepBackend> ResidentNetwork<B> {
    /// Allocates a network. Its numbers are undefined until [`ResidentNetwork::send`].
    pub fn new(backend: &B, network: &Network, optimizer: Option<&Optimizer>, ema: Option<&Ema>) -> Result<Self> {
        let Portable { plan, parameters, norms, spectral_kernels } = network.on_backend(backend.clone())?;
        let zeros = |len: usize| backend.f32_zeros(len);
        let len = parameters.elem_count();
        let channels = |norm: &RunningNorm| norm.averages[0].elem_count();
        let averages = of(optimizer).len();
        let averaged = ema.map_or(vec![], |_| {
            let running = norms.iter().flat_map(|norm| [channels(norm); 2]);
            let directions = spectral_kernels.iter().map(|kernel| kernel.sides[1]);
            std::iter::once(len).chain(running).chain(directions).map(zeros).collect()
        });
        Ok(Self {
            theta: zeros(len),
            averages: (0..averages).map(|_| zeros(len)).collect(),
            running: norms.iter().map(|norm| [0, 1].map(|_| zeros(channels(norm)))).collect(),
            spectral_norms: SpectralNorms::new(backend, spectral_kernels),
            ema: averaged,
            gradients: vec![],
            used: 0,
            ones: backend.uninit(0),
            inference: network.on_backend(backend.clone())?.plan,
            sample_shape: network.output().to_vec(),
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
    pub fn send(&mut self, optimizer: Option<&Optimizer>, ema: Option<&Ema>) -> Result<()> {
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
        let SpectralNorms { kernels, directions } = &mut self.spectral_norms;
        for (kernel, to) in kernels.iter().zip(directions) {
            write(&kernel.direction.tensor()?, to)?;
        }
        for (average, to) in self.averaged(ema).into_iter().zip(&mut self.ema) {
            write(&average.tensor()?, to)?;
        }
        self.plan.weights_changed();
        Ok(())
    }

    /// Returns all numbers.
    pub fn fetch(&self) -> Result<Vec<Tensor>> {
        let running = self.running.iter().flatten();
        let parameters = std::iter::once(&self.theta).chain(&self.averages);
        let all = parameters.chain(running).chain(&self.spectral_norms.directions).chain(&self.ema);
        let read = |from| Tensor::new(self.backend.get(self.backend.slice(from)), &Device::Cpu);
        Ok(all.map(read).collect::<candle_core::Result<_>>()?)
    }

    /// Writes what [`ResidentNetwork::fetch`] has returned to the host's.
    pub fn keep(&self, numbers: Vec<Tensor>, optimizer: &Optimizer, ema: Option<&Ema>) -> Result<()> {
        let mut numbers = numbers.into_iter();
        if let Some(parameters) = numbers.next() {
            self.parameters.set(&parameters)?;
        }
        for (average, new) in of(Some(optimizer)).iter().zip(numbers.by_ref()) {
            average.set(0, &new)?;
        }
        let running = self.norms.iter().flat_map(|norm| &norm.averages);
        let directions = self.spectral_norms.kernels.iter().map(|kernel| &kernel.direction);
        for (param, new) in running.chain(directions).zip(numbers.by_ref()) {
            param.set(&new)?;
        }
        for (average, new) in self.averaged(ema).into_iter().zip(numbers) {
            average.set(0, &new)?;
        }
        Ok(())
    }

    /// Returns the host's moving averages in this network's order: of the parameters, of each running average, of each direction.
    fn averaged<'a>(&self, ema: Option<&'a Ema>) -> Vec<&'a Average> {
        let Some(ema) = ema else { return vec![] };
        let running = self.norms.iter().flat_map(|norm| norm.averages.iter().map(Param::var));
        let directions = self.spectral_norms.kernels.iter().map(|kernel| kernel.direction.var());
        let all = std::iter::once(&self.parameters).chain(running).chain(directions);
        let find = |var: &Var| ema.averages.variables.iter().find(|known| known.var.id() == var.id());
        all.filter_map(|var| find(var)?.averages.first()).collect()
    }

    /// Returns numbers of the host there, in f32.
    pub fn wide(&self, values: &[f32]) -> B::Buffer {
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

    /// Returns a place for a gradient that this update has not used, filled with zeros, because passes write or add to different parts.
    pub fn place(&mut self) -> usize {
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
        let running = self.running.iter().flatten();
        let sources = std::iter::once(&self.theta).chain(running).chain(&self.spectral_norms.directions);
        for (average, new) in self.ema.iter_mut().zip(sources) {
            backend.follow(weight as f32, backend.slice(new), backend.slice_mut(average));
        }
    }
}

/// Returns the averages of an optimizer of one variable.
fn of(optimizer: Option<&Optimizer>) -> &[Average] {
    let variable = optimizer.and_then(|optimizer| optimizer.averages.variables.first());
    variable.map_or(&[], |variable| &variable.averages)
}
