// The generator: recipes of samples, and samples from latent vectors.
//
// A recipe is what a sample is made of: { seed, index, within, class, offsets }. `index` counts the samples of one seed, of which points use many.

class Generator {
  constructor(module, about, directions) {
    Object.assign(this, { module, about, directions, cache: new Map() });
    this.dim = about.latent;
    this.isPoints = about.shape.length === 1;
  }

  // Latent vectors of a seed as `gan generate` draws them.
  drawn(seed, within, count) {
    const key = `${seed} ${within} ${count}`;
    if (!this.cache.has(key)) {
      if (this.cache.size > 500) this.cache.clear();
      this.cache.set(key, this.module.numbers("gan_latents", seed, within, count));
    }
    return this.cache.get(key);
  }

  // The latent vector of a recipe, moved along the directions.
  latent({ seed, index, within, offsets }) {
    const all = this.drawn(seed, within, index === undefined ? 1 : POINTS);
    const z = all.slice((index ?? 0) * this.dim, ((index ?? 0) + 1) * this.dim);
    return this.moved(z, offsets);
  }

  // Adds the offsets along the directions to each latent vector in `z`.
  moved(z, offsets) {
    this.directions.forEach(({ vector }, k) => {
      if (offsets[k]) for (let i = 0; i < z.length; i++) z[i] += offsets[k] * vector[i % this.dim];
    });
    return z;
  }

  between(a, b, t) {
    return this.module.numbers("gan_between", a, b, t);
  }

  // RGBA bytes of images, or coordinates of points in the units of the data.
  samples(z, classes) {
    const count = z.length / this.dim;
    const found = this.module.call("gan_generate", z, classes, count);
    return this.isPoints ? this.restored(new Float32Array(found.buffer)) : found;
  }

  // Points in [−1, 1] in their own units.
  restored(values) {
    const { units, shape: [axes] } = this.about;
    const range = (axis) => (units.length === axes ? units[axis] : [-1, 1]);
    return values.map((v, i) => {
      const [low, high] = range(i % axes);
      return low + ((v + 1) / 2) * (high - low);
    });
  }

  className(index) {
    return this.about.names[index] ?? String(index);
  }
}
