//! A fused network, and its directional derivative, as candle operations on the CPU.

use super::collect::keep;
use super::pass::{NeedsGrad, PassContext};
use super::{FusedLayer, FusedSequential};
use crate::backend::{Backend, Norms, Sides};
use crate::cpu::Cpu;
use crate::cpu::buffer::Buffer;
use crate::cpu::layout::{channels_first, channels_last};
use crate::ranks::{BatchStatistics, Ranks};
use crate::spec::product;
use crate::storage::{elements, lock, with_elements};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex};

/// Memory layout of a tensor's images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[N, C, H, W]`, or vectors `[N, F]`.
    ChannelsFirst,
    /// `[N, H, W, C]`, or vectors `[N, F]`: between networks, where a transposition would be wasted.
    ChannelsLast,
}

/// Statistics that batch norm uses.
#[derive(Clone, Copy, Debug)]
pub enum Statistics<'a> {
    /// Statistics of the batch, or of all ranks' batches together.
    Batch(&'a Ranks),
    /// Given mean and variance, `[C]` each, of each batch norm in turn.
    Given(&'a [[Tensor; 2]]),
}

/// Random numbers for dropout: one tensor of U[0, 1) for each, in the shapes of [`FusedSequential::noise_shapes`].
pub type Noise = Vec<Tensor>;

/// Settings of one run of a network.
#[derive(Debug)]
pub struct Run<'a> {
    /// Statistics that batch norm uses; with given statistics there is no dropout.
    pub statistics: Statistics<'a>,
    /// Random numbers for dropout, with the batch's statistics.
    pub noise: Noise,
    /// Class of each sample, for layers that use it.
    pub classes: Option<Vec<u32>>,
    /// Layout of the input.
    pub from: Layout,
    /// Layout of the output.
    pub to: Layout,
}

impl FusedSequential {
    /// Runs the network: x `[N, …]` and all parameters `[P]` (f32, on the CPU) -> the output `[N, …]` and each batch norm's statistics, if
    /// they were the batch's.
    ///
    /// Gradients flow to both arguments; an argument that leads to no variable costs nothing.
    ///
    /// # Errors
    /// If x has another shape than expected, the parameters end before the layers' places do, the number of given statistics or noise
    /// tensors differs from that of the batch norms and dropouts, or a batch norm gets fewer than two numbers per channel.
    pub fn apply(
        self: &Arc<Self>,
        x: &Tensor,
        parameters: &Tensor,
        run: Run,
    ) -> Result<(Tensor, Vec<BatchStatistics>)> {
        let samples = self.check(x, run.from)?;
        self.check_parameters(parameters)?;
        let needs = NeedsGrad { input: x.track_op(), parameters: parameters.track_op() };
        let mut cx = PassContext::new(self.layers.len(), needs);
        cx.classes = self.checked_classes(samples, run.classes)?;
        match run.statistics {
            Statistics::Batch(ranks) => {
                cx.ranks = ranks.clone();
                self.set_noise(&run.noise, samples, &mut cx)?;
            }
            Statistics::Given(all) => self.set_statistics(all, &mut cx)?,
        }
        let found = Arc::new(Mutex::new(vec![]));
        let op = Op {
            network: Arc::clone(self),
            samples,
            layouts: [run.from, run.to],
            needs,
            takes_statistics: matches!(run.statistics, Statistics::Batch(_)),
            cx: Mutex::new(Some(cx)),
            found: Arc::clone(&found),
        };
        let y = x.apply_op2(parameters, op)?;
        let found = std::mem::take(&mut *lock(&found));
        let statistics = found.iter().map(|norm| self.backend.batch_statistics(norm));
        Ok((y, statistics.collect::<Result<_>>()?))
    }

    /// Returns the classes, if all layers know them.
    pub(super) fn checked_classes(&self, samples: usize, classes: Option<Vec<u32>>) -> Result<Option<Arc<Vec<u32>>>> {
        let known = self.layers.iter().filter_map(|planned| planned.layer.operation::<Cpu>().classes()).min();
        let Some(known) = known else { return Ok(None) };
        let Some(classes) = classes else { bail!("this network needs each sample's class") };
        if classes.len() != samples || classes.iter().any(|class| *class as usize >= known) {
            bail!("{samples} samples have classes {classes:?}, expected one below {known} for each");
        }
        Ok(Some(Arc::new(classes)))
    }

    /// Gives each batch norm its mean and variance from `all`, which must contain them.
    fn set_statistics(&self, all: &[[Tensor; 2]], cx: &mut PassContext<Cpu>) -> Result<()> {
        let norms = || self.layers.iter().enumerate().filter(|(_, planned)| planned.layer.is_norm());
        if norms().count() != all.len() {
            bail!("statistics of {} batch norms were given, this network has {}", all.len(), norms().count());
        }
        for ((index, planned), both) in norms().zip(all) {
            let c = planned.input[2];
            if both.iter().any(|t| t.dims() != [c]) {
                let [mean, variance] = both.each_ref().map(Tensor::dims);
                bail!("a batch norm of {c} channels was given a mean {mean:?} and a variance {variance:?}");
            }
            cx.given[index] = Some([both[0].to_vec1()?, both[1].to_vec1()?]);
        }
        Ok(())
    }

    /// Gives each dropout its numbers for `samples` from `all`, which must contain them.
    pub(super) fn set_noise(&self, all: &[Tensor], samples: usize, cx: &mut PassContext<Cpu>) -> Result<()> {
        let shapes = self.noise_shapes(samples);
        if shapes.len() != all.len() {
            bail!("random numbers for {} dropouts were given, this network has {}", all.len(), shapes.len());
        }
        let drops =
            self.layers.iter().enumerate().filter(|(_, planned)| matches!(planned.layer, FusedLayer::Dropout(_)));
        for ((index, _), (shape, t)) in drops.zip(shapes.iter().zip(all)) {
            if t.elem_count() != product(shape) {
                bail!("a dropout needs random numbers {shape:?}, got {:?}", t.dims());
            }
            cx.noise[index] = Some(with_elements::<f32, _>(t, Buffer::of)?);
        }
        Ok(())
    }

    /// Returns the derivative of the output in a direction t at x, `[N, C, H, W]` (or `[N, F]`) each, for samples of these classes, from all parameters `[P]` ->
    /// `[N, …]`, with batch norms that use the batch's statistics and dropouts that use `noise`. The gradient flows to the parameters.
    ///
    /// # Errors
    /// If a layer does not support it ([`FusedSequential::has_jvp`]), x, t or the noise has another shape than expected, the parameters end
    /// before the layers' places do, or a batch norm gets fewer than two numbers per channel.
    pub fn jvp(
        self: &Arc<Self>,
        x: &Tensor,
        t: &Tensor,
        parameters: &Tensor,
        noise: &Noise,
        classes: Option<Vec<u32>>,
    ) -> Result<Tensor> {
        if !self.has_jvp() {
            bail!("this network has layers that its fused derivative does not know");
        }
        let samples = self.check(x, Layout::ChannelsFirst)?;
        self.check_parameters(parameters)?;
        if t.dims() != x.dims() {
            bail!("a direction {:?} for samples {:?}", t.dims(), x.dims());
        }
        let both = Tensor::cat(&[x, t], 0)?;
        let both = with_elements::<f32, _>(&both, |both| inward(both, self.input, Layout::ChannelsFirst))?;
        let mut cx = PassContext::new(self.layers.len(), NeedsGrad { input: false, parameters: true });
        cx.classes = self.checked_classes(samples, classes)?;
        self.set_noise(noise, samples, &mut cx)?;
        let network = Arc::clone(self);
        let op = Jvp { network, samples, both: Mutex::new(Some(both)), cx: Mutex::new(Some(cx)) };
        parameters.apply_op1(op)
    }

    /// Returns the shape of the output.
    fn shape(&self, n: usize, to: Layout) -> Shape {
        let [h, w, c] = self.output();
        match to {
            Layout::ChannelsFirst | Layout::ChannelsLast if self.flat => Shape::from((n, c)),
            Layout::ChannelsFirst => Shape::from((n, c, h, w)),
            Layout::ChannelsLast => Shape::from((n, h, w, c)),
        }
    }

    pub(super) fn check_parameters(&self, parameters: &Tensor) -> Result<()> {
        match parameters.dims() {
            [n] if *n >= self.parameters => Ok(()),
            found => bail!("this network needs parameters [{}], got {found:?}", self.parameters),
        }
    }

    /// Returns the number of samples of x, if it has the network's shape.
    pub(super) fn check(&self, x: &Tensor, from: Layout) -> Result<usize> {
        let [h, w, c] = self.input;
        let fits = match (x.dims(), from) {
            ([_, f], _) => [h, w] == [1, 1] && *f == c,
            ([_, xc, xh, xw], Layout::ChannelsFirst) | ([_, xh, xw, xc], Layout::ChannelsLast) => {
                [*xh, *xw, *xc] == [h, w, c]
            }
            _ => false,
        };
        if !fits {
            bail!("this network is for [N, {c}, {h}, {w}], got {:?}", x.dims());
        }
        let samples = x.dim(0)?;
        // Values and tangents go through together.
        if product(&[2, samples, self.largest]) > isize::MAX as usize >> 3 {
            bail!("{samples} samples of {} numbers at once are beyond any memory", self.largest);
        }
        Ok(samples)
    }
}

/// Gradients of the input and of the parameters, if they are needed.
type Grads = (Option<Vec<f32>>, Option<Vec<f32>>);

/// A network as a function of its input and its parameters.
struct Op {
    network: Arc<FusedSequential>,
    samples: usize,
    layouts: [Layout; 2],
    needs: NeedsGrad,
    /// Whether batch norms take the statistics of the batch.
    takes_statistics: bool,
    /// `None` after the last part that needs it.
    cx: Mutex<Option<PassContext<Cpu>>>,
    found: Arc<Mutex<Vec<<Cpu as Norms>::Norm>>>,
}

/// Converts numbers to the network's layout.
pub(super) fn inward(x: &[f32], [h, w, c]: Sides, layout: Layout) -> Buffer {
    match layout {
        Layout::ChannelsFirst => channels_last(x, c, h * w),
        Layout::ChannelsLast => Buffer::of(x),
    }
}

/// Converts numbers to the layout for candle.
pub(super) fn outward(x: &Buffer, [h, w, c]: Sides, layout: Layout) -> Vec<f32> {
    match layout {
        Layout::ChannelsFirst => {
            let mut to = vec![0.0; x.len()];
            channels_first(x, c, h * w, &mut to);
            to
        }
        Layout::ChannelsLast => x.to_vec(),
    }
}

impl Op {
    fn forward(&self, x: &[f32], theta: &[f32]) -> Result<Vec<f32>> {
        let Some(mut cx) = lock(&self.cx).take() else {
            bail!("a network's forward pass can run once for each application");
        };
        let x = inward(x, self.network.input, self.layouts[0]);
        let y = self.network.forward(x, self.samples, theta, &mut cx)?;
        if self.takes_statistics {
            *lock(&self.found) = cx.norms.iter().flatten().cloned().collect();
        }
        if self.needs.anything() {
            *lock(&self.cx) = Some(cx);
        }
        Ok(outward(&y, self.network.output(), self.layouts[1]))
    }

    /// Returns the gradients of the input and of the parameters, if they are needed.
    fn backward(&self, g: &[f32], theta: &[f32]) -> Result<Grads> {
        let Some(cx) = lock(&self.cx).take() else {
            bail!("a network's backward pass can run once for each forward pass: run it forward again");
        };
        let g = inward(g, self.network.output(), self.layouts[1]);
        let mut dtheta = self.needs.parameters.then(|| vec![0.0; theta.len()]);
        let dx = self.network.backward(cx, self.samples, theta, g, dtheta.as_deref_mut());
        let dx = dx.map(|dx| outward(&dx, self.network.input, self.layouts[0]));
        Ok((dx, dtheta))
    }
}

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &candle_core::Layout,
        theta: &CpuStorage,
        tl: &candle_core::Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = elements::<f32>(x, xl)?;
        let theta = elements::<f32>(theta, tl)?;
        let y = self.network.backend.run(self.network.work(self.samples), || self.forward(&x, &theta))?;
        Ok((CpuStorage::F32(y), self.network.shape(self.samples, self.layouts[1])))
    }

    fn bwd(&self, x: &Tensor, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let work = self.network.work(self.samples);
        let (dx, dtheta) = with_elements::<f32, _>(g, |g| {
            with_elements::<f32, _>(theta, |theta| self.network.backend.run(work, || self.backward(g, theta)))
        })???;
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values.map(|v| Tensor::from_vec(v, like.shape(), like.device())).transpose()
        };
        let dtheta = dtheta.and_then(|values| keep(theta, values));
        Ok((tensor(dx, x)?, tensor(dtheta, theta)?))
    }
}

/// The tangents of the output as a function of the parameters.
struct Jvp {
    network: Arc<FusedSequential>,
    samples: usize,
    both: Mutex<Option<Buffer>>,
    cx: Mutex<Option<PassContext<Cpu>>>,
}

impl CustomOp1 for Jvp {
    fn name(&self) -> &'static str {
        "jvp"
    }

    fn cpu_fwd(&self, theta: &CpuStorage, layout: &candle_core::Layout) -> Result<(CpuStorage, Shape)> {
        let theta = elements::<f32>(theta, layout)?;
        let (Some(both), Some(cx)) = (lock(&self.both).take(), lock(&self.cx).take()) else {
            bail!("a derivative can be taken once");
        };
        let network = &self.network;
        let n = self.samples;
        let (t, cx) = network.backend.run(network.work(2 * n), || network.jvp_forward(both, n, &theta, cx))?;
        *lock(&self.cx) = Some(cx);
        let t = outward(&t, network.output(), Layout::ChannelsFirst);
        Ok((CpuStorage::F32(t), network.shape(n, Layout::ChannelsFirst)))
    }

    fn bwd(&self, theta: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let Some(cx) = lock(&self.cx).take() else {
            bail!("a derivative's backward pass can run once: take it again");
        };
        let network = &self.network;
        let g = with_elements::<f32, _>(g, |g| inward(g, network.output(), Layout::ChannelsFirst))?;
        let mut dtheta = vec![0.0; theta.elem_count()];
        with_elements::<f32, _>(theta, |theta| {
            let run = || network.jvp_backward(cx, self.samples, theta, g, &mut dtheta);
            network.backend.run(network.work(2 * self.samples), run);
        })?;
        keep(theta, dtheta).map(|values| Tensor::from_vec(values, theta.shape(), theta.device())).transpose()
    }
}
