// Mouse, touch, wheel and keys on a chart.

class ChartInput {
  constructor(chart) {
    Object.assign(this, { chart, shared: chart.shared, fingers: new Map(), drag: null });
    const on = (name, options) => chart.root.addEventListener(name, (event) => this[name](event), options);
    for (const name of ["down", "move", "up", "cancel", "leave"]) on(`pointer${name}`);
    on("dblclick");
    on("keydown");
    on("wheel", { passive: false });
  }

  // The step under an event, kept inside what is shown.
  step(event) {
    const [low, high] = this.shared.view;
    return Math.min(Math.max(low + this.offset(event) * (high - low), low), high);
  }

  // 0 at the left end of the axis, 1 at its right end.
  offset(event) {
    const inside = this.chart.width - MARGIN.left - MARGIN.right;
    return (event.clientX - this.chart.root.getBoundingClientRect().left - MARGIN.left) / inside;
  }

  pointerdown(event) {
    if (event.button !== 0) return;
    this.chart.root.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, event);
    else this.drag = { from: this.step(event), at: event.clientX, view: this.shared.view, move: event.shiftKey };
    if (this.fingers.size === 2) this.pinch = { view: this.shared.view, ends: this.offsets() };
    this.shared.point(this.snapped(this.step(event)));
  }

  pointermove(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, event);
    if (this.fingers.size === 2) return this.pinched();
    if (this.drag && this.drag.move) return this.moved(event);
    if (this.drag) this.select(event);
    this.shared.point(this.snapped(this.step(event)));
  }

  pointerup(event) {
    this.fingers.delete(event.pointerId);
    const { drag } = this;
    this.drag = null;
    if (!drag || drag.move) return;
    this.chart.selection.setAttribute("width", 0);
    const to = this.step(event);
    if (Math.abs(event.clientX - drag.at) > 6) this.shared.show(Math.min(drag.from, to), Math.max(drag.from, to));
  }

  pointercancel(event) {
    this.fingers.delete(event.pointerId);
    this.drag = null;
    this.chart.selection.setAttribute("width", 0);
  }

  pointerleave(event) {
    const stays = event.pointerType !== "mouse" || this.drag || document.activeElement === this.chart.root;
    if (!stays) this.shared.point(null);
  }

  dblclick() {
    this.shared.show(...this.shared.whole);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.chart.root) return;
    event.preventDefault();
    this.shared.zoom(Math.exp(Math.max(-50, Math.min(50, event.deltaY)) * 0.006), this.step(event));
  }

  select(event) {
    const [a, b] = [this.drag.from, this.step(event)].map((step) => this.chart.x(step));
    this.chart.selection.setAttribute("x", Math.min(a, b));
    this.chart.selection.setAttribute("width", Math.abs(a - b));
  }

  moved(event) {
    const inside = this.chart.width - MARGIN.left - MARGIN.right;
    const [low, high] = this.drag.view;
    const by = ((this.drag.at - event.clientX) / inside) * (high - low);
    this.shared.show(low + by, high + by);
  }

  offsets() {
    return [...this.fingers.values()].map((finger) => this.offset(finger)).sort((a, b) => a - b);
  }

  // The steps that were under the two fingers stay under them.
  pinched() {
    const [low, high] = this.pinch.view;
    const [a, b] = this.pinch.ends.map((offset) => low + offset * (high - low));
    const [p, q] = this.offsets();
    const width = Math.min((b - a) / Math.max(q - p, 0.02), this.shared.whole[1] - this.shared.whole[0]);
    const start = (a + b) / 2 - ((p + q) / 2) * width;
    this.shared.show(start, start + width);
  }

  // All steps that the chart's curves have, of the one with the most points.
  steps() {
    return this.chart.spec.curves.reduce((most, curve) => (curve.x.length > most.length ? curve.x : most), []);
  }

  snapped(step) {
    const xs = this.steps();
    return xs[nearest(xs, step)];
  }

  keydown(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const xs = this.steps(), [low, high] = this.shared.view;
    const here = this.shared.cursor ?? high;
    const go = (by) => this.go(xs, Math.min(Math.max(nearest(xs, here) + by, 0), xs.length - 1));
    const by = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowLeft: () => go(-by), ArrowDown: () => go(-by), ArrowRight: () => go(by), ArrowUp: () => go(by),
      PageDown: () => go(-Math.ceil(xs.length / 10)), PageUp: () => go(Math.ceil(xs.length / 10)),
      Home: () => go(-xs.length), End: () => go(xs.length),
      "+": () => this.shared.zoom(0.5, here), "=": () => this.shared.zoom(0.5, here),
      "-": () => this.shared.zoom(2, here), "0": () => this.dblclick(), Escape: () => this.dblclick(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  // Puts the cursor on a point, and moves the view along where that lies outside.
  go(xs, index) {
    const step = xs[index], [low, high] = this.shared.view;
    this.shared.point(step);
    if (step < low) this.shared.show(step, step + high - low);
    else if (step > high) this.shared.show(step - (high - low), step);
  }
}
