// Pictures over the steps: a slider, and a button that plays them.

class Film {
  constructor(figure, frames, onStep) {
    Object.assign(this, { frames, onStep, timer: null });
    const find = (selector) => figure.querySelector(selector);
    Object.assign(this, { image: find("img"), slider: find("input"), button: find(".play") });
    Object.assign(this, { said: find("output"), still: find(".still") });
    this.name = this.button.getAttribute("aria-label").replace(/^Play /, "");
    frames[frames.length - 1].src = this.image.src;
    this.slider.addEventListener("input", () => { this.stop(); this.show(); });
    this.button.addEventListener("click", () => (this.timer ? this.stop() : this.play()));
    this.controls = find(".controls");
    this.controls.hidden = frames.length < 2;
    this.show();
  }

  // Replaces the frames. If the last one was shown, the new last one is shown.
  update(frames) {
    const shown = this.frames[this.slider.valueAsNumber].step;
    const follows = this.slider.valueAsNumber === this.frames.length - 1 && !this.timer;
    this.frames = frames;
    this.slider.max = frames.length - 1;
    const at = frames.findIndex((frame) => frame.step >= shown);
    this.slider.value = follows || at < 0 ? frames.length - 1 : at;
    this.controls.hidden = frames.length < 2;
    this.ready = false;
    this.show();
  }

  show() {
    const frame = this.frames[this.slider.valueAsNumber];
    const said = `step ${written(frame.step)}`;
    this.image.src = frame.src;
    this.said.textContent = said;
    this.still.textContent = ` After ${said}.`;
    this.slider.setAttribute("aria-valuetext", said);
    if (this.ready) this.onStep(frame.step);
    this.ready = true;
  }

  // From here to the end, or from the start if this is the end; slower for those who asked for less motion.
  play() {
    const last = this.frames.length - 1;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (this.slider.valueAsNumber === last) this.slider.value = 0;
    this.show();
    this.label("Pause", "Pause");
    this.timer = setInterval(() => {
      this.slider.value = this.slider.valueAsNumber + 1;
      this.show();
      if (this.slider.valueAsNumber >= this.frames.length - 1) this.stop();
    }, calm ? 800 : Math.max(120, Math.min(500, 8000 / last)));
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.label("▶ Play", "Play");
  }

  label(text, verb) {
    this.button.textContent = text;
    this.button.setAttribute("aria-label", `${verb} ${this.name}`);
  }
}
