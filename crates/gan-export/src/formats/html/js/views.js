// What shows samples: a grid of pictures, or points in the plane.

const TILES = 64;
// Points of one seed.
const POINTS = 1024;

function element(name, properties, parent) {
  const node = Object.assign(document.createElement(name), properties);
  if (parent) parent.append(node);
  return node;
}

// Puts RGBA bytes on a canvas of the picture's own size.
function paint(canvas, bytes, [channels, height, width]) {
  Object.assign(canvas, { width, height });
  canvas.classList.toggle("clear", channels === 4);
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(bytes), width, height), 0, 0);
}

// Saves a canvas as a file.
function save(canvas, name) {
  canvas.toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}

// Samples of consecutive seeds. It is filled in slices, so that the page stays responsive while a slow generator works.
class Grid {
  constructor(app) {
    this.app = app;
    this.root = document.getElementById("grid");
    const [, height, width] = app.generator.about.shape;
    this.root.classList.toggle("small", Math.max(height, width) <= 64);
    this.tiles = Array.from({ length: TILES }, (_, i) => {
      const button = element("button", { type: "button", tabIndex: i ? -1 : 0 }, this.root);
      button.addEventListener("click", () => app.pin(this.recipe(i)));
      button.addEventListener("focus", () => this.reach(i));
      return { button, canvas: element("canvas", { width, height }, button) };
    });
    this.root.addEventListener("keydown", (event) => this.move(event));
    document.getElementById("save-grid").addEventListener("click", () => this.save());
  }

  recipe(i) {
    const { state, generator } = this.app;
    const known = generator.about.classes;
    const own = state.inTurn && known ? i % known : state.class;
    return { seed: state.first + i, within: state.within, class: own, offsets: [...state.offsets] };
  }

  // Starts over; `perSlice` samples at a time.
  draw() {
    clearTimeout(this.timer);
    this.spent = 0;
    this.next = 0;
    const slice = () => {
      const start = performance.now();
      const recipes = Array.from({ length: Math.min(this.app.perSlice, TILES - this.next) }, (_, i) => this.recipe(this.next + i));
      const z = new Float32Array(recipes.length * this.app.generator.dim);
      recipes.forEach((recipe, i) => z.set(this.app.generator.latent(recipe), i * this.app.generator.dim));
      const shape = this.app.generator.about.shape;
      const size = 4 * shape[1] * shape[2];
      const bytes = this.app.generator.samples(z, Uint32Array.from(recipes, (recipe) => recipe.class));
      recipes.forEach((recipe, i) => this.show(this.next + i, recipe, bytes.subarray(i * size, (i + 1) * size)));
      this.next += recipes.length;
      this.spent += performance.now() - start;
      if (this.next < TILES) this.timer = setTimeout(slice);
      else this.app.drawn(this.spent);
    };
    this.timer = setTimeout(slice);
  }

  show(i, recipe, bytes) {
    const { button, canvas } = this.tiles[i];
    paint(canvas, bytes, this.app.generator.about.shape);
    button.setAttribute("aria-label", `Pin the sample of ${this.app.told(recipe)}`);
    button.setAttribute("aria-pressed", String(this.app.isShown(recipe)));
  }

  mark() {
    this.tiles.forEach(({ button }, i) => button.setAttribute("aria-pressed", String(this.app.isShown(this.recipe(i)))));
  }

  reach(i) {
    this.tiles.forEach(({ button }, k) => { button.tabIndex = k === i ? 0 : -1; });
  }

  move(event) {
    const at = this.tiles.findIndex(({ button }) => button === document.activeElement);
    const columns = getComputedStyle(this.root).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: TILES - 1 - at }[event.key];
    if (at < 0 || by === undefined) return;
    event.preventDefault();
    this.tiles[Math.min(Math.max(at + by, 0), TILES - 1)].button.focus();
  }

  save() {
    const [, height, width] = this.app.generator.about.shape;
    const columns = 8, gap = 2;
    const sheet = element("canvas", { width: columns * (width + gap) + gap, height: (TILES / columns) * (height + gap) + gap });
    const context = sheet.getContext("2d");
    context.fillStyle = "#303030";
    context.fillRect(0, 0, sheet.width, sheet.height);
    this.tiles.forEach(({ canvas }, i) => {
      context.drawImage(canvas, gap + (i % columns) * (width + gap), gap + Math.floor(i / columns) * (height + gap));
    });
    save(sheet, `samples-seed-${this.app.state.first}.png`);
  }
}

// Points of one seed in the plane, with the shown one as a larger dot.
class Plane {
  constructor(app, canvas) {
    Object.assign(this, { app, canvas, points: new Float32Array(0) });
    canvas.classList.add("plane");
    this.range = app.generator.about.units.length ? app.generator.about.units : app.generator.about.shape.map(() => [-1, 1]);
    canvas.addEventListener("click", (event) => this.pick(event));
    addEventListener("resize", () => app.changed());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.changed());
    document.getElementById("theme").addEventListener("click", () => app.changed());
  }

  recipe(index) {
    const { state } = this.app;
    return { seed: state.first, index, within: state.within, class: state.class, offsets: [...state.offsets] };
  }

  draw() {
    const { generator, state } = this.app;
    const start = performance.now();
    const z = generator.moved(generator.drawn(state.first, state.within, POINTS).slice(), state.offsets);
    const known = generator.about.classes;
    this.points = generator.samples(z, Uint32Array.from({ length: POINTS }, (_, i) => (state.inTurn && known ? i % known : state.class)));
    this.show(this.canvas, this.app.shownPoint);
    this.app.drawn(performance.now() - start);
  }

  // Where a value lies on the canvas: a tenth of the range remains free on every side.
  place(value, axis, size) {
    const [low, high] = this.range[axis];
    const share = (value - low) / (high - low) * 0.8 + 0.1;
    return axis === 0 ? share * size : (1 - share) * size;
  }

  show(canvas, shown) {
    const axes = this.app.generator.about.shape[0];
    const isLarge = canvas === this.canvas;
    const size = isLarge ? Math.round(Math.max(canvas.clientWidth, 200) * devicePixelRatio) : 160;
    Object.assign(canvas, { width: size, height: size });
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const context = canvas.getContext("2d");
    context.fillStyle = color("--page");
    context.fillRect(0, 0, size, size);
    const scale = size / 340;
    const [x0, x1, y0, y1] = [0.1 * size, 0.9 * size, 0.9 * size, 0.1 * size];
    context.strokeStyle = color("--line");
    context.strokeRect(x0, y1, x1 - x0, y0 - y1);
    const dot = (x, y, radius) => {
      context.beginPath();
      context.arc(this.place(x, 0, size), axes > 1 ? this.place(y, 1, size) : size / 2, radius, 0, 2 * Math.PI);
      context.fill();
    };
    context.fillStyle = color("--c1");
    context.globalAlpha = 0.55;
    for (let i = 0; i < this.points.length; i += axes) dot(this.points[i], this.points[i + 1], 2 * scale);
    context.globalAlpha = 1;
    if (shown) {
      context.fillStyle = color("--ink");
      dot(shown[0], shown[1], (isLarge ? 6 : 14) * scale);
    }
    if (!isLarge) return;
    context.fillStyle = color("--soft");
    context.font = `${12 * scale}px system-ui, sans-serif`;
    const text = (value) => Number(value.toPrecision(3)).toLocaleString("en");
    const [bottom, side] = [y0 + 16 * scale, y1 - 6 * scale];
    context.fillText(text(this.range[0][0]), x0, bottom);
    context.textAlign = "right";
    context.fillText(text(this.range[0][1]), x1, bottom);
    context.textAlign = "left";
    if (axes > 1) context.fillText(`${text(this.range[1][0])} to ${text(this.range[1][1])}`, x0, side);
  }

  // Pins the point that is nearest to a click.
  pick(event) {
    const box = this.canvas.getBoundingClientRect();
    const axes = this.app.generator.about.shape[0];
    const distance = (i) => {
      const x = this.place(this.points[i * axes], 0, box.width) - (event.clientX - box.left);
      const y = axes > 1 ? this.place(this.points[i * axes + 1], 1, box.width) - (event.clientY - box.top) : 0;
      return x * x + y * y;
    };
    let best = 0;
    for (let i = 1; i < POINTS; i++) if (distance(i) < distance(best)) best = i;
    this.app.pin(this.recipe(best));
  }

  mark() {}
}
