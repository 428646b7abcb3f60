// A generator in plain JavaScript. Every layer with weights is one matrix product, blocked so that it stays in registers.

/** float16 (as Uint16Array) → Float64Array. */
function fromHalf(halves) {
  const table = new Float64Array(65536);
  for (let h = 0; h < 65536; h++) {
    const exponent = (h >> 10) & 31, fraction = h & 1023;
    table[h] = (h >> 15 ? -1 : 1) * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  }
  return Float64Array.from(halves, (h) => table[h]);
}

/** A matrix (k, m) as panels of four columns, each k x 4, the last filled up with zeros. */
function inPanels(matrix, k, m) {
  const panels = new Float64Array(k * (m + 3 & ~3));
  for (let i = 0; i < k; i++)
    for (let j = 0; j < m; j++) panels[(j & ~3) * k + 4 * i + (j & 3)] = matrix[i * m + j];
  return panels;
}

/** out (m, n) = aᵀ b, with a (k, m) in panels and b (k, n); out has rows up to a multiple of four, `pairs` is scratch. */
function product(a, b, out, pairs, m, k, n) {
  for (let j = 0; j < n; j += 2)
    for (let i = 0, at = j * k; i < k; i++, at += 2) {
      pairs[at] = b[i * n + j];
      pairs[at + 1] = j + 1 < n ? b[i * n + j + 1] : 0;
    }
  for (let r = 0; r < m; r += 4)
    for (let j = 0; j < n; j += 2) {
      let c00 = 0, c01 = 0, c10 = 0, c11 = 0, c20 = 0, c21 = 0, c30 = 0, c31 = 0;
      for (let i = 0, p = r * k, q = j * k; i < k; i++, p += 4, q += 2) {
        const b0 = pairs[q], b1 = pairs[q + 1], a0 = a[p], a1 = a[p + 1], a2 = a[p + 2], a3 = a[p + 3];
        c00 += a0 * b0; c01 += a0 * b1;
        c10 += a1 * b0; c11 += a1 * b1;
        c20 += a2 * b0; c21 += a2 * b1;
        c30 += a3 * b0; c31 += a3 * b1;
      }
      let at = r * n + j;
      out[at] = c00; out[at + n] = c10; out[at + 2 * n] = c20; out[at + 3 * n] = c30;
      if (++at % n === 0 && j + 1 >= n) continue;
      out[at] = c01; out[at + n] = c11; out[at + 2 * n] = c21; out[at + 3 * n] = c31;
    }
}

/** Where row y + tap of a stride lies: calls act(image index, column index) for all taps of a convolution. */
function eachTap([channels, height, width], [rows, columns], {kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw]}, act) {
  for (let c = 0, row = 0; c < channels; c++)
    for (let dy = 0; dy < kh; dy++)
      for (let dx = 0; dx < kw; dx++, row++)
        for (let i = 0; i < rows; i++) {
          const y = i * sh - ph + dy;
          if (y < 0 || y >= height) continue;
          for (let j = 0, at = (row * rows + i) * columns; j < columns; j++, at++) {
            const x = j * sw - pw + dx;
            if (x >= 0 && x < width) act((c * height + y) * width + x, at);
          }
        }
}

const size = (shape) => shape.reduce((a, b) => a * b, 1);
/** A class's row of a table (rows of `width`): kind = [class, another, how far it is mixed in]. One row is everybody's. */
function row(table, width, [label, other, mix]) {
  if (table.length === width) return table;
  const at = (kind) => table.subarray(kind * width, (kind + 1) * width);
  return mix ? Float64Array.from(at(label), (v, i) => v + mix * (at(other)[i] - v)) : at(label);
}
const activate = (f) => () => (x) => { for (let i = 0; i < x.length; i++) x[i] = f(x[i]); return x; };

// For each type of layer: what it is told, how many classes, what is kept → a function of the flat (C, H, W) numbers x.
const LAYERS = {
  matrix({k, m, n, weight}) {  // Linear, and the products inside the convolutions
    const out = new Float64Array((m + 3 & ~3) * n), pairs = new Float64Array(k * (n + 1)), panels = inPanels(weight, k, m);
    return (x) => { product(panels, x, out, pairs, m, k, n); return out; };
  },
  transposed(layer) {
    const [c, h, w] = layer.in, m = layer.out[0] * size(layer.kernel), out = new Float64Array(size(layer.out));
    const multiply = LAYERS.matrix({k: c, m, n: h * w, weight: layer.weight});
    return (x) => {
      const columns = multiply(x);
      out.fill(0);
      eachTap(layer.out, [h, w], layer, (to, from) => { out[to] += columns[from]; });
      return out;
    };
  },
  conv(layer) {
    const [, h, w] = layer.out, k = layer.in[0] * size(layer.kernel), columns = new Float64Array(k * h * w);
    const multiply = LAYERS.matrix({k, m: layer.out[0], n: h * w, weight: layer.weight});
    return (x) => {
      eachTap(layer.in, [h, w], layer, (from, to) => { columns[to] = x[from]; });
      return multiply(columns);
    };
  },
  affine({out, scale, shift}) {
    const channels = out[0], each = size(out) / channels;
    return (x, kind) => {
      const a = row(scale, channels, kind), b = row(shift, channels, kind);
      for (let c = 0, i = 0; c < channels; c++) for (const end = i + each; i < end; i++) x[i] = x[i] * a[c] + b[c];
      return x;
    };
  },
  append({in: length, table}, classes) {  // the class's own numbers, after those made from z
    return (x, kind) => Float64Array.of(...x.subarray(0, length), ...row(table, table.length / classes, kind));
  },
  attention({in: [c, h, w], inner, gamma, query, key, value, back}) {  // each place takes from all others
    const n = h * w, weights = new Float64Array(n), mixed = new Float64Array(inner * n);
    const project = (weight, k, m) => LAYERS.matrix({k, m, n, weight});
    const [q, k, v] = [query, key, value].map((weight) => project(weight, c, inner)), combine = project(back, inner, c);
    return (x) => {
      const [Q, K, V] = [q(x), k(x), v(x)];
      for (let i = 0; i < n; i++) {
        weights.fill(0);
        for (let d = 0; d < inner; d++) for (let j = 0, a = Q[d * n + i]; j < n; j++) weights[j] += a * K[d * n + j];
        const top = weights.reduce((a, b) => Math.max(a, b));
        let sum = 0;
        for (let j = 0; j < n; j++) sum += weights[j] = Math.exp(weights[j] - top);
        for (let d = 0; d < inner; d++) {
          let total = 0;
          for (let j = 0; j < n; j++) total += weights[j] * V[d * n + j];
          mixed[d * n + i] = total / sum;
        }
      }
      const added = combine(mixed);
      for (let i = 0; i < x.length; i++) x[i] += gamma * added[i];
      return x;
    };
  },
  upsample(layer) {
    const [c, h, w] = layer.out, f = h / layer.in[1], out = new Float64Array(c * h * w);
    return (x) => {
      for (let i = 0; i < c * h; i++)
        for (let j = 0; j < w; j++) out[i * w + j] = x[Math.floor(i / f) * (w / f) + Math.floor(j / f)];
      return out;
    };
  },
  keep({slot}, _, kept) { return (x) => { kept[slot] = x.slice(); return x; }; },  // a copy, for branches
  recall({slot}, _, kept) { return () => kept[slot].slice(); },
  sum({slot, out}, _, kept) {
    return (x) => { for (let i = 0; i < size(out); i++) x[i] += kept[slot][i]; return x; };
  },
  relu: activate((v) => (v > 0 ? v : 0)),
  leaky({slope}) { return activate((v) => (v > 0 ? v : slope * v))(); },
  tanh: activate(Math.tanh),
  sigmoid: activate((v) => 1 / (1 + Math.exp(-v))),
};

/** The net that `spec` and its numbers describe: z, and the kind of `row` → RGBA pixels (S * S * 4). */
function makeNet(spec, halves, singles) {
  const cut = (numbers, [from, count]) => numbers.subarray(from, from + count);
  const kept = [], layers = spec.layers.map((layer) => {
    const parts = {...layer};
    for (const name of ["weight", "query", "key", "value", "back"])
      if (name in layer) parts[name] = fromHalf(cut(halves, layer[name]));
    for (const name of ["scale", "shift", "table"]) if (name in layer) parts[name] = cut(singles, layer[name]);
    return LAYERS[layer.type](parts, spec.classes.length, kept);
  });
  const [channels, height, width] = spec.shape, pixels = new Uint8ClampedArray(height * width * 4).fill(255);
  return (z, kind = [0, 0, 0]) => {
    let x = Float64Array.from(z);
    for (const layer of layers) x = layer(x, kind);
    for (let i = 0; i < height * width; i++)
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = (x[(c % channels) * height * width + i] + 1) * 127.5;  // rounds to even
    return pixels;
  };
}
