// Drawing: the plane with its layers, the feature planes, and the curves over the rounds.

function element(name, properties, parent) {
  const node = Object.assign(document.createElement(name), properties);
  if (parent) parent.append(node);
  return node;
}

const STYLE = getComputedStyle(document.documentElement);
const color = (name) => STYLE.getPropertyValue(name).trim();

// Four digits at most.
function written(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-3) return value.toExponential(1);
  return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 3 });
}

// A canvas with as many pixels as the screen shows, in units of CSS pixels.
function prepared(canvas) {
  const width = Math.max(canvas.clientWidth, 50), height = Math.max(canvas.clientHeight, 50);
  const scale = Math.min(devicePixelRatio, 2);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = color("--page");
  context.fillRect(0, 0, width, height);
  return { context, width, height };
}

function dots(context, points, place, style, radius, alpha) {
  context.fillStyle = style;
  context.globalAlpha = alpha;
  context.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = place(points[i], points[i + 1]);
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fill();
  context.globalAlpha = 1;
}

// The data's plane: D's output as a heat map, G's warped latent grid, both kinds of points.
class Plane {
  constructor(canvas) {
    this.canvas = canvas;
    this.cells = document.createElement("canvas");
  }

  draw({ reach, units, surface, mesh, real, made, drawn, layers }) {
    const { context, width } = prepared(this.canvas);
    this.reach = reach;
    const place = (x, y) => [((x / reach + 1) / 2) * width, ((1 - y / reach) / 2) * width];
    if (layers.surface && surface) this.heat(context, surface, width);
    context.strokeStyle = color("--soft");
    context.globalAlpha = 0.4;
    const [left, top] = place(-1, 1), [right, bottom] = place(1, -1);
    context.strokeRect(left, top, right - left, bottom - top);
    context.globalAlpha = 1;
    if (layers.mesh && mesh) this.net(context, mesh, place);
    if (layers.real && real) dots(context, real, place, color("--c0"), 2, 0.75);
    if (layers.made && made) dots(context, made, place, color("--c1"), 2, 0.75);
    if (drawn.length) dots(context, drawn.flat(), place, color("--ink"), 1.5, 0.8);
    context.fillStyle = color("--soft");
    context.font = "11px system-ui, sans-serif";
    const at = ([low, high]) => [written(low), written(high)];
    const [x, y] = units.map(at);
    context.fillText(x[0], left, bottom + 13);
    context.fillText(y[1], left, top - 4);
    context.textAlign = "right";
    context.fillText(x[1], right, bottom + 13);
    context.fillText(y[0], left - 4, bottom);
    context.textAlign = "left";
  }

  // Blue where D takes points for real, orange where for generated.
  heat(context, surface, width) {
    const side = Math.round(Math.sqrt(surface.length));
    const rgb = (name) => color(name).match(/[0-9a-f]{2}/gi).map((hex) => parseInt(hex, 16));
    const [real, made, page] = ["--c0", "--c1", "--page"].map(rgb);
    const image = new ImageData(side, side);
    surface.forEach((p, i) => {
      const strength = Math.min(1, Math.abs(p - 0.5) * 2) * 0.55;
      const ink = p > 0.5 ? real : made;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = page[c] + (ink[c] - page[c]) * strength;
      image.data[4 * i + 3] = 255;
    });
    Object.assign(this.cells, { width: side, height: side });
    this.cells.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.cells, 0, 0, width, width);
  }

  net(context, mesh, place) {
    const side = Math.round(Math.sqrt(mesh.length / 2));
    context.strokeStyle = color("--ink");
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.beginPath();
    const point = (row, column) => place(mesh[2 * (row * side + column)], mesh[2 * (row * side + column) + 1]);
    for (let i = 0; i < side; i++) {
      for (let k = 0; k < side; k++) {
        const a = point(i, k), b = point(k, i);
        if (k === 0) { context.moveTo(...a); continue; }
        context.lineTo(...a);
      }
    }
    for (let i = 0; i < side; i++) for (let k = 0; k < side; k++) context[k ? "lineTo" : "moveTo"](...point(k, i));
    context.stroke();
    context.globalAlpha = 1;
  }

  // The point of the plane under an event.
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = (at, from, size) => ((at - from) / size) * 2 - 1;
    return [share(event.clientX, box.left, box.width) * this.reach, -share(event.clientY, box.top, box.height) * this.reach];
  }
}

function centroid(points) {
  const sum = [0, 0];
  for (let i = 0; i < points.length; i++) sum[i % 2] += points[i];
  return sum.map((s) => s / (points.length / 2));
}

// Features of both kinds, `{ real, made }`, with their centroids. All views of one update share their range.
function drawFeatures(canvas, view, range) {
  const { context, width, height } = prepared(canvas);
  if (!view) return;
  const place = (x, y) => [
    ((x - range[0][0]) / (range[0][1] - range[0][0])) * width,
    (1 - (y - range[1][0]) / (range[1][1] - range[1][0])) * height,
  ];
  dots(context, view.real, place, color("--c0"), 1.8, 0.5);
  dots(context, view.made, place, color("--c1"), 1.8, 0.5);
  for (const [points, name] of [[view.real, "--c0"], [view.made, "--c1"]]) {
    const [x, y] = place(...centroid(points));
    context.lineWidth = 5;
    context.strokeStyle = color("--page");
    for (let pass = 0; pass < 2; pass++) {
      context.beginPath();
      context.moveTo(x - 8, y); context.lineTo(x + 8, y);
      context.moveTo(x, y - 8); context.lineTo(x, y + 8);
      context.stroke();
      context.lineWidth = 2.5;
      context.strokeStyle = color(name);
    }
  }
}

// The range of some views of features, with a margin. Few outliers are left out.
function featureRange(views) {
  return [0, 1].map((axis) => {
    const values = views.flatMap(({ real, made }) => [...real, ...made]).filter((_, i) => i % 2 === axis).sort((a, b) => a - b);
    const cut = Math.floor(values.length * 0.005);
    const [low, high] = [values[cut], values[values.length - 1 - cut]];
    const pad = (high - low) * 0.08 || 0.5;
    return [low - pad, high + pad];
  });
}

// Lines over the rounds. Neighbouring values are averaged when there are more than pixels.
class Curves {
  constructor(canvas, names, guide) {
    Object.assign(this, { canvas, names, guide });
    this.clear();
  }

  clear() {
    this.x = [];
    this.ys = this.names.map(() => []);
  }

  add(round, values) {
    this.x.push(round);
    this.ys.forEach((ys, k) => ys.push(values[k]));
    if (this.x.length <= 4000) return;
    // Every second value is dropped: half of the points are still more than a chart has pixels.
    this.x = this.x.filter((_, i) => i % 2);
    this.ys = this.ys.map((ys) => ys.filter((_, i) => i % 2));
  }

  draw() {
    const { context, width, height } = prepared(this.canvas);
    const [left, right, top, bottom] = [40, width - 8, 22, height - 18];
    const all = this.ys.flat().filter(Number.isFinite).sort((a, b) => a - b);
    context.font = "11px system-ui, sans-serif";
    this.names.forEach((name, k) => {
      context.fillStyle = color(`--c${k}`);
      context.fillText(`— ${name}`, left + k * ((right - left) / this.names.length), 13);
    });
    if (all.length < 2) return;
    // The first moments of a training may be far off: the axis leaves out the largest hundredth.
    let [low, high] = [Math.min(0, all[0]), all[Math.floor((all.length - 1) * 0.99)]];
    if (this.guide !== undefined) high = Math.max(high, this.guide);
    high += (high - low) * 0.08 || 1;
    const first = this.x[0], last = Math.max(this.x[this.x.length - 1], first + 1);
    const px = (x) => left + ((x - first) / (last - first)) * (right - left);
    const py = (y) => bottom - ((Math.min(y, high) - low) / (high - low)) * (bottom - top);
    context.strokeStyle = color("--line");
    context.fillStyle = color("--soft");
    context.textAlign = "right";
    for (const tick of [low, (low + high) / 2, high]) {
      context.beginPath();
      context.moveTo(left, py(tick));
      context.lineTo(right, py(tick));
      context.stroke();
      context.fillText(written(tick), left - 4, py(tick) + 4);
    }
    context.fillText(`round ${written(last)}`, right, height - 4);
    context.textAlign = "left";
    if (this.guide !== undefined) {
      context.setLineDash([2, 4]);
      context.strokeStyle = color("--soft");
      context.beginPath();
      context.moveTo(left, py(this.guide));
      context.lineTo(right, py(this.guide));
      context.stroke();
      context.setLineDash([]);
    }
    const step = Math.max(1, Math.floor(this.x.length / (right - left)));
    this.ys.forEach((ys, k) => {
      context.strokeStyle = color(`--c${k}`);
      context.lineWidth = 1.5;
      context.beginPath();
      let pen = "moveTo";
      for (let i = 0; i < ys.length; i += step) {
        const part = ys.slice(i, i + step).filter(Number.isFinite);
        if (!part.length) continue;
        context[pen](px(this.x[i]), py(part.reduce((a, b) => a + b) / part.length));
        pen = "lineTo";
      }
      context.stroke();
    });
  }
}
