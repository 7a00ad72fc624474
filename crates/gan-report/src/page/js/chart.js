// A line chart as SVG. All charts of the page share the steps in view, the cursor and the smoothing (`shared`).

const FEWEST_SMOOTHED = 50;
const COLOURS = 6;
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 56, right: 12, top: 8, bottom: 24 };

function svg(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
}

function element(name, properties, parent) {
  const node = Object.assign(document.createElement(name), properties);
  if (parent) parent.append(node);
  return node;
}

// The horizontal axis of a run: the name of a value on it, and the smallest part that can be shown.
const STEPS = { name: "step", least: 2 };

class Shared {
  constructor(specs, axis = STEPS) {
    Object.assign(this, { specs, axis });
    this.whole = this.ends();
    this.view = this.whole;
    this.cursor = null;
    this.weight = 0;
    this.charts = [];
    this.onView = () => {};
  }

  // The first and the last step of all curves.
  ends() {
    const both = ({ x }) => (x.length ? [x[0], x[x.length - 1]] : []);
    const steps = this.specs.flatMap((spec) => spec.curves.flatMap(both));
    const [low, high] = [Math.min(...steps), Math.max(...steps)];
    return low < high ? [low, high] : [low - 0.5, low + 0.5];
  }

  // Draws points that were added to the curves. A view of the whole run grows with it; another one stays.
  grown() {
    const follows = this.view === this.whole;
    this.whole = this.ends();
    if (follows) this.view = this.whole;
    this.redraw();
  }

  // Shows [low, high], kept inside the run and not narrower than the axis allows.
  show(low, high) {
    const [first, last] = this.whole;
    const width = Math.min(Math.max(high - low, this.axis.least), last - first);
    const start = Math.min(Math.max((low + high - width) / 2, first), last - width);
    this.view = width < last - first ? [start, start + width] : this.whole;
    this.redraw();
    this.onView(this.view !== this.whole);
  }

  zoom(factor, around) {
    const [low, high] = this.view;
    this.show(around - (around - low) * factor, around + (high - around) * factor);
  }

  point(step) {
    this.cursor = step;
    this.charts.forEach((chart) => chart.drawCursor());
  }

  redraw() {
    this.charts.forEach((chart) => chart.draw());
  }
}

class Chart {
  constructor(figure, spec, shared) {
    Object.assign(this, { spec, shared, log: false, hidden: new Set() });
    this.plot = figure.querySelector(".plot");
    this.caption = figure.querySelector("figcaption");
    this.head = figure.querySelector(".head");
    this.title = spec.title;
    this.legend = element("div", { className: "legend" });
    this.plot.before(this.legend);
    const label = `${spec.title}, over the ${shared.axis.name}s`;
    this.root = svg("svg", { tabindex: 0, role: "slider", "aria-label": label }, this.plot);
    this.clip = `clip-${shared.charts.length}`;
    this.makeLegend();
    this.noteReduction();
    shared.charts.push(this);
    // In the next frame: drawing may change sizes again, which the observer would report as a fault.
    new ResizeObserver(() => requestAnimationFrame(() => this.draw())).observe(this.plot);
    new ChartInput(this);
  }

  makeLegend() {
    this.values = this.spec.curves.map((curve, at) => {
      const button = element("button", { type: "button" }, this.legend);
      button.setAttribute("aria-pressed", "true");
      element("i", { className: `c${at % COLOURS}` }, button);
      button.append(curve.name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(at)) this.hidden.add(at);
        button.setAttribute("aria-pressed", String(!this.hidden.has(at)));
        this.draw();
      });
      return element("b", {}, button);
    });
    this.at = element("span", { className: "at" }, this.head);
    if (!this.spec.curves.some((curve) => curve.y.some((y) => y > 0))) return;
    const log = element("button", { type: "button", className: "log", textContent: "log" }, this.head);
    log.setAttribute("aria-label", `Logarithmic scale for ${this.title}`);
    log.setAttribute("aria-pressed", "false");
    log.addEventListener("click", () => {
      this.log = !this.log;
      log.setAttribute("aria-pressed", String(this.log));
      this.draw();
    });
  }

  noteReduction() {
    const most = Math.max(...this.spec.curves.map((curve) => (curve.meanX.length ? curve.count : 0)));
    if (!most) return;
    const text = ` Of ${written(most)} points the lowest and highest of each stretch are drawn.`;
    this.caption.append(text);
  }

  // Curves that are switched on, each with its place.
  visible() {
    return this.spec.curves.map((curve, at) => ({ curve, at })).filter(({ at }) => !this.hidden.has(at));
  }

  // Whether a value has a place on the axis.
  fits(y) {
    return y !== null && (!this.log || y > 0);
  }

  measure() {
    this.width = Math.max(this.plot.clientWidth, 200);
    this.height = this.width < 400 ? 210 : 250;
    const [low, high] = this.shared.view;
    const ys = [];
    for (const { curve } of this.visible()) {
      curve.x.forEach((x, i) => { if (x >= low && x <= high && this.fits(curve.y[i])) ys.push(curve.y[i]); });
    }
    this.range = this.yRange(ys);
    const x = (step) => MARGIN.left + ((step - low) / (high - low)) * (this.width - MARGIN.left - MARGIN.right);
    const scale = this.log ? Math.log10 : (v) => v;
    const [bottom, top] = this.range.map(scale);
    const span = this.height - MARGIN.top - MARGIN.bottom;
    const y = (value) => MARGIN.top + span * (1 - (scale(value) - bottom) / (top - bottom));
    Object.assign(this, { x, y });
  }

  yRange(ys) {
    const whole = this.shared.view === this.shared.whole;
    if (this.spec.span && !this.log && whole) return this.spec.span;
    const [low, high] = ys.reduce(([a, b], y) => [Math.min(a, y), Math.max(b, y)], [Infinity, -Infinity]);
    if (low > high) return this.log ? [0.1, 1] : [0, 1];
    if (this.log) return low < high ? [low / 1.1, high * 1.1] : [low / 2, low * 2];
    const pad = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
    return [low >= 0 && low < pad * 4 ? 0 : low - pad, high + pad];
  }

  draw() {
    if (!this.plot.clientWidth) return;
    this.measure();
    this.root.replaceChildren();
    this.root.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.root.setAttribute("height", this.height);
    this.drawAxes();
    const inside = this.width - MARGIN.left - MARGIN.right;
    const clip = svg("clipPath", { id: this.clip }, this.root);
    svg("rect", { x: MARGIN.left, y: 0, width: inside, height: this.height - MARGIN.bottom + 1 }, clip);
    const lines = svg("g", { "clip-path": `url(#${this.clip})` }, this.root);
    for (const { curve, at } of this.visible()) this.drawCurve(curve, at, lines);
    this.marks = svg("g", {}, this.root);
    const box = { class: "range", y: MARGIN.top, height: this.height - MARGIN.top - MARGIN.bottom, width: 0 };
    this.selection = svg("rect", box, this.root);
    this.drawCursor();
  }

  drawAxes() {
    const { root, width, height } = this;
    const [low, high] = this.range;
    const ticks = (this.log ? logTicks : linearTicks)(low, high, 5);
    for (const value of ticks) {
      const y = this.y(value);
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }, root);
      svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, root).textContent = brief(value);
    }
    const steps = linearTicks(...this.shared.view, Math.max(2, Math.floor(width / 110)));
    for (const step of steps.filter((step) => this.shared.axis.least < 1 || Number.isInteger(step))) {
      const x = this.x(step);
      const end = x > width - 30;
      const place = { x: end ? width - 2 : x, y: height - 8, "text-anchor": end ? "end" : "middle" };
      svg("text", place, root).textContent = brief(step);
    }
    for (const { value, label } of this.spec.guides) {
      if (value < low || value > high) continue;
      const y = this.y(value), right = width - MARGIN.right;
      svg("line", { class: "guide", x1: MARGIN.left, x2: right, y1: y, y2: y }, root);
      svg("text", { x: right - 4, y: y - 5, "text-anchor": "end" }, root).textContent = label;
    }
  }

  drawCurve(curve, at, parent) {
    // A few measured values are what they are: a smoothed line through them would lag behind.
    const smooth = this.shared.weight > 0 && curve.x.length >= FEWEST_SMOOTHED;
    svg("path", { d: this.path(curve.x, curve.y), class: `c${at % COLOURS}${smooth ? " raw" : ""}` }, parent);
    if (!smooth) return;
    const [x, y] = curve.meanX.length ? [curve.meanX, curve.meanY] : [curve.x, curve.y];
    svg("path", { d: this.path(x, smoothed(y, this.shared.weight)), class: `c${at % COLOURS}` }, parent);
  }

  // A line through the points in view and the one before and after; it breaks where a value is missing.
  path(xs, ys) {
    const [low, high] = this.shared.view;
    let d = "", pen = "M";
    for (let i = 0; i < xs.length; i++) {
      if (xs[i + 1] < low || xs[i - 1] > high) continue;
      if (!this.fits(ys[i])) { pen = "M"; continue; }
      // A value with gaps on both sides would be a line without length: invisible but for its round end.
      const alone = pen === "M" && !this.fits(ys[i + 1] ?? null) ? "h1" : "";
      d += `${pen}${this.x(xs[i]).toFixed(1)} ${this.y(ys[i]).toFixed(1)}${alone}`;
      pen = "L";
    }
    return d;
  }

  // The values at the cursor, or at the end of what is shown.
  drawCursor() {
    if (!this.marks) return;
    const { cursor, view } = this.shared;
    const there = cursor !== null && cursor >= view[0] && cursor <= view[1];
    const step = there ? cursor : view[1];
    this.marks.replaceChildren();
    if (there) {
      const x = this.x(cursor);
      svg("line", { class: "cursor", x1: x, x2: x, y1: MARGIN.top, y2: this.height - MARGIN.bottom }, this.marks);
    }
    const said = this.spec.curves.map((curve, at) => this.readOut(curve, at, step, there));
    const { name, least } = this.shared.axis;
    const rounded = least < 1 ? (value) => Number(value.toFixed(2)) : Math.round;
    const shown = rounded(step);
    this.at.textContent = `${name} ${written(shown)}`;
    const [low, high] = this.shared.whole.map(rounded);
    const state = { "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": shown };
    state["aria-valuetext"] = `${name} ${written(shown)}: ${said.filter(Boolean).join(", ")}`;
    for (const [key, value] of Object.entries(state)) this.root.setAttribute(key, value);
  }

  readOut(curve, at, step, there) {
    const i = nearest(curve.x, step);
    const value = i < 0 ? null : curve.y[i];
    this.values[at].textContent = written(value);
    if (this.hidden.has(at)) return "";
    if (there && this.fits(value)) {
      svg("circle", { class: `c${at % COLOURS}`, cx: this.x(curve.x[i]), cy: this.y(value), r: 3.5 }, this.marks);
    }
    return `${curve.name} ${written(value)}`;
  }
}
