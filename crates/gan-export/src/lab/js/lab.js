// The laboratory: settings, updates one at a time or as fast as the screen allows, and what is seen of them.

// Rounds per second; the last two do that many per frame, or as many as fit.
const SPEEDS = [
  { name: "slow motion", seconds: 2 }, { name: "1 round/s", seconds: 1 }, { name: "4 rounds/s", seconds: 0.25 },
  { name: "1 per frame", rounds: 1 }, { name: "10 per frame", rounds: 10 }, { name: "full speed", rounds: Infinity },
];
const SURFACE = 56;
const MESH = 21;
// Milliseconds of training in a frame at full speed.
const BUDGET = 30;

class Lab {
  constructor(module, given) {
    Object.assign(this, { module, given, drawn: [], rounds: 0, playing: null, speed: SPEEDS.length - 1, rate: 0 });
    this.layers = { surface: true, mesh: false, real: true, made: true };
    this.setup = structuredClone(given.presets[0].setup);
    this.preset = given.presets[0].name;
    this.plane = new Plane(document.getElementById("plane"));
    const find = (id) => document.getElementById(id);
    this.featureViews = ["before-d", "after-d", "after-g"].map(find);
    this.curves = {
      losses: new Curves(find("losses"), ["loss of D", "loss of G"]),
      beliefs: new Curves(find("beliefs"), ["D(x)", "D(G(z))"], 0.5),
      distances: new Curves(find("distances"), ["generated → real", "real → generated"]),
    };
  }

  // Builds the networks and draws the data anew. Settings that cannot be used are shown, and the training before them goes on.
  restart() {
    const setup = { ...this.setup };
    const { d_steps: d, g_steps: g } = setup;
    delete setup.d_steps;
    delete setup.g_steps;
    if (this.isDrawn()) setup.data = { drawn: this.drawn, spread: this.spread };
    const problem = document.getElementById("problem");
    try {
      const text = new TextEncoder().encode(JSON.stringify(setup));
      const about = this.module.json("lab_new", text, text.length);
      if (!(d >= 0 && g >= 0 && d + g > 0 && d + g <= 100)) throw new Error("updates per round: expected 1 to 100 in all");
      Object.assign(this, { about, turns: [d, g], rounds: 0, views: [null, null, null], last: null, error: null });
      problem.hidden = true;
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
      this.error = error.message;
      this.pause();
      if (!this.about) this.about = { units: [[-1, 1], [-1, 1]], reach: 1.25, features: [0], parameters: [0, 0] };
      return false;
    }
    Object.values(this.curves).forEach((curve) => curve.clear());
    this.hasFeatures = this.about.features.length === 1 && this.about.features[0] === 2;
    document.getElementById("features").hidden = !this.hasFeatures;
    this.measure();
    this.onSetup();
    this.draw();
    return true;
  }

  isDrawn() {
    return this.setup.data === "drawn";
  }

  // D's features of real and of generated points.
  seen() {
    if (!this.hasFeatures) return null;
    const all = this.module.numbers("lab_features");
    return { real: all.slice(0, all.length / 2), made: all.slice(all.length / 2) };
  }

  // Does one round of d updates of D and g of G, and remembers the features before and after each.
  train(d, g) {
    const views = [d ? this.seen() : this.views[0], null, null];
    if (d) this.take(this.module.numbers("lab_train", 1, d, 0));
    views[1] = this.seen();
    if (g) this.take(this.module.numbers("lab_train", 1, 0, g));
    views[2] = g ? this.seen() : null;
    this.views = views;
    this.rounds += 1;
  }

  take([lossD, lossG, real, before, after, normD, normG]) {
    const last = this.last ?? {};
    const kept = (value, name) => (Number.isNaN(value) ? last[name] : value);
    this.last = {
      lossD: kept(lossD, "lossD"), lossG: kept(lossG, "lossG"), real: kept(real, "real"), before: kept(before, "before"),
      after: kept(after, "after"), normD: kept(normD, "normD"), normG: kept(normG, "normG"),
    };
  }

  measure() {
    this.distance = this.module.numbers("lab_distances");
  }

  // Adds the latest numbers to the curves, and shows everything.
  follow() {
    this.measure();
    const { lossD, lossG, real, before, after } = this.last ?? {};
    this.curves.losses.add(this.rounds, [lossD, lossG]);
    this.curves.beliefs.add(this.rounds, [real, after ?? before]);
    this.curves.distances.add(this.rounds, [...this.distance]);
    this.draw();
  }

  draw() {
    if (!this.about) return;
    const points = this.error ? null : this.module.numbers("lab_points");
    this.plane.draw({
      ...this.about, layers: this.layers, drawn: this.isDrawn() ? this.drawn : [],
      surface: this.layers.surface && points ? this.module.numbers("lab_surface", SURFACE) : null,
      mesh: this.layers.mesh && points ? this.module.numbers("lab_mesh", MESH) : null,
      real: points?.slice(0, points.length / 2), made: points?.slice(points.length / 2),
    });
    Object.values(this.curves).forEach((curve) => curve.draw());
    this.drawFeatures();
    this.onNumbers();
  }

  drawFeatures() {
    if (!this.hasFeatures) return;
    const known = this.views.filter(Boolean);
    const range = known.length ? featureRange(known) : null;
    this.featureViews.forEach((canvas, i) => drawFeatures(canvas, this.views[i], range));
    document.getElementById("movement").textContent = known.length ? this.movement() : "Press Play, or update one network, to see its features here.";
  }

  // What the last updates did to the features, in words.
  movement() {
    const [before, middle, after] = this.views;
    const distance = ({ real, made }) => Math.hypot(...centroid(real).map((c, axis) => c - centroid(made)[axis]));
    const said = [];
    if (before && middle) said.push(`D's update changed the distance of the centroids from ${written(distance(before))} to ${written(distance(middle))}.`);
    if (middle && after) {
      const moved = middle.real.reduce((most, v, i) => Math.max(most, Math.abs(v - after.real[i])), 0);
      said.push(`G's update changed it from ${written(distance(middle))} to ${written(distance(after))}, and moved the real features by ${written(moved)}.`);
    }
    return said.join(" ");
  }

  // One frame at the chosen speed.
  frame(now) {
    const speed = SPEEDS[this.speed];
    try {
      if (speed.seconds) this.slow(now, speed.seconds); else this.fast(speed.rounds);
    } catch (error) {
      this.stopped(error);
    }
    if (this.playing) this.playing = requestAnimationFrame((next) => this.frame(next));
  }

  // D and G in turn, each visible for half of the time.
  slow(now, seconds) {
    if (now - (this.before ?? -Infinity) < (seconds * 1000) / 2) return;
    this.before = now;
    this.half = this.half === "d" ? "g" : "d";
    if (this.half === "d") this.single(this.turns[0], 0); else this.single(0, this.turns[1]);
  }

  fast(rounds) {
    const start = performance.now();
    let done = 1;
    let each = 0;
    while (done < rounds && performance.now() - start < BUDGET) {
      // Half of the rounds that fit into what is left, in one call.
      const fit = each ? Math.floor((BUDGET - (performance.now() - start)) / each / 2) : 1;
      const now = Math.min(rounds - done, Math.max(1, fit));
      const before = performance.now();
      this.take(this.module.numbers("lab_train", now, ...this.turns));
      each = (performance.now() - before) / now;
      done += now;
    }
    this.rounds += done - 1;
    this.train(...this.turns);
    this.count(done, start);
    this.follow();
  }

  // Rounds per second over the last second, with everything that is drawn.
  count(done, now) {
    this.recent = [...(this.recent ?? []), [now, done]].filter(([at]) => now - at < 1000);
    const [first] = this.recent[0];
    const sum = this.recent.slice(1).reduce((total, [, rounds]) => total + rounds, 0);
    if (now - first > 200) this.rate = sum / ((now - first) / 1000);
  }

  // One update of a network, or of both in turn.
  single(d, g) {
    if (this.error) return;
    try {
      if (!d && g && this.views[1] && this.views[2] === null) {
        const [before, middle] = this.views;
        this.train(0, g);
        this.views = [before, middle, this.views[2]];
        this.rounds -= 1;
      } else {
        this.train(d, g);
      }
      this.follow();
    } catch (error) {
      this.stopped(error);
    }
  }

  stopped(error) {
    this.pause();
    const problem = document.getElementById("problem");
    problem.hidden = false;
    problem.textContent = error.message;
  }

  play() {
    if (this.error && !this.restart()) return;
    this.recent = [];
    this.playing = requestAnimationFrame((now) => this.frame(now));
    this.onPlay();
  }

  pause() {
    if (this.playing) cancelAnimationFrame(this.playing);
    this.playing = null;
    this.onPlay();
  }
}
