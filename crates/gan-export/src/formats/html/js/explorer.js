// The explorer's state and what follows from it: the shown sample, the pinned ones, the walk between them.

class Explorer {
  constructor(generator) {
    const first = 0;
    const within = generator.about.truncation ?? 0;
    const offsets = generator.directions.map(() => 0);
    // `first`: seed of the first sample. `class`: that of the shown sample; `inTurn`: whether the others have all classes in turn.
    this.state = { first, within, class: 0, inTurn: generator.about.classes !== null, offsets };
    Object.assign(this, { generator, pins: [], walk: null, perSlice: 1, pending: false });
    this.canvas = document.getElementById("sample");
    this.canvas.classList.toggle("small", !generator.isPoints && Math.max(...generator.about.shape.slice(1)) <= 64);
    document.getElementById("samples").hidden = generator.isPoints;
    document.getElementById("explorer").classList.toggle("points", generator.isPoints);
    this.view = generator.isPoints ? new Plane(this, this.canvas) : new Grid(this);
    this.shown = this.view.recipe(0);
  }

  // The shown sample in words.
  told({ seed, index, within, class: own }) {
    const parts = [`seed ${seed}`];
    if (index !== undefined) parts.push(`point ${index}`);
    if (this.generator.about.classes) parts.push(`class ${this.generator.className(own)}`);
    if (within) parts.push(`truncation ${within}`);
    return parts.join(", ");
  }

  isShown(recipe) {
    return !this.walk && ["seed", "index", "class"].every((key) => recipe[key] === this.shown[key]);
  }

  // Redraws in the next frame, all of it or only the shown sample.
  changed(all = true) {
    this.all = this.all || all;
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.pending = false;
    try {
      const start = performance.now();
      this.drawSample();
      // Slices of about 25 ms.
      this.perSlice = Math.min(64, Math.max(1, Math.round(25 / Math.max(performance.now() - start, 0.1))));
      if (this.all || this.generator.isPoints) this.view.draw();
      this.all = false;
    } catch (error) {
      fault(error.message);
    }
  }

  drawSample() {
    const { generator, walk } = this;
    const recipe = walk ? walk.recipe : this.shown;
    const z = walk ? walk.z : generator.latent(recipe);
    const sample = generator.samples(z, Uint32Array.of(recipe.class));
    this.z = z;
    const told = walk ? walk.told : this.told(recipe);
    if (generator.isPoints) {
      this.shownPoint = sample;
      const values = [...sample].map((v) => Number(v.toPrecision(4))).join(", ");
      document.getElementById("caption").textContent = `(${values}), ${told}`;
    } else {
      paint(this.canvas, sample, generator.about.shape);
      document.getElementById("caption").textContent = told[0].toUpperCase() + told.slice(1);
    }
    this.canvas.setAttribute("aria-label", `The sample of ${told}`);
  }

  // Called when all samples are drawn, with the milliseconds that took.
  drawn(spent) {
    document.getElementById("timing").textContent = `${this.generator.isPoints ? POINTS : TILES} samples in ${Math.max(1, Math.round(spent))} ms.`;
    document.documentElement.dataset.drawn = spent.toFixed(1);
  }

  // Shows a sample.
  show(recipe) {
    this.stop();
    this.walk = null;
    this.shown = recipe;
    if (this.state.offsets.some((v, i) => v !== recipe.offsets[i]) || this.state.within !== recipe.within) {
      this.state.within = recipe.within;
      this.state.offsets = [...recipe.offsets];
      this.onState();
      this.changed();
    }
    this.state.class = recipe.class;
    this.onState();
    this.view.mark();
    this.changed(false);
  }

  // The settings have changed: the shown sample follows them.
  set(change) {
    this.stop();
    this.walk = null;
    Object.assign(this.state, change);
    const { first, within, offsets, class: own } = this.state;
    const moved = "first" in change ? { seed: first, index: this.generator.isPoints ? 0 : undefined } : {};
    this.shown = { ...this.shown, ...moved, within, class: own, offsets: [...offsets] };
    this.onState();
    this.changed();
  }

  pin(recipe) {
    this.show(recipe);
    const key = JSON.stringify(recipe);
    if (!this.pins.some((pin) => pin.key === key)) this.pins.push({ key, recipe, z: this.generator.latent(recipe) });
    this.onPins();
  }

  unpin(index) {
    this.stop();
    this.walk = null;
    this.pins.splice(index, 1);
    this.onPins();
    this.changed(false);
  }

  // Shows the sample at `position` of the closed walk through all pinned samples; whole numbers are the samples themselves.
  walkTo(position) {
    const count = this.pins.length;
    const from = Math.floor(position) % count, to = (from + 1) % count, t = position - Math.floor(position);
    const near = this.pins[t < 0.5 ? from : to].recipe;
    const told = t === 0 ? this.told(near) : `${Math.round(t * 100)}% from pinned ${from + 1} to ${to + 1}`;
    this.walk = { position, told, recipe: near, z: this.generator.between(this.pins[from].z, this.pins[to].z, t) };
    this.onWalk(position, told);
    this.view.mark();
    this.changed(false);
  }

  play() {
    // Less motion for those who want it: whole steps.
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let before = performance.now();
    let position = this.walk ? this.walk.position : 0;
    const step = (now) => {
      const by = calm ? 0.25 : (now - before) / 1500;
      before = now;
      position = (position + by) % this.pins.length;
      this.walkTo(position);
      this.playing = calm ? setTimeout(() => step(performance.now()), 800) : requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
    this.calm = calm;
    this.onPlay(true);
  }

  stop() {
    if (!this.playing) return;
    clearTimeout(this.playing);
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.onPlay(false);
  }
}
