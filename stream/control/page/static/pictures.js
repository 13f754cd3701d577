// Spectrograms: columns of one byte per band come in pairs, mixture and vocals. They go round in a strip of pixels,
// and the strip is drawn so that the newest stands at the right; where motion is not wanted it stands still and is
// written over, as on an oscilloscope.

const BANDS = 112;
const COLUMNS = 240; // eight seconds
const still = matchMedia("(prefers-reduced-motion: reduce)");

export const MIXTURE = [[11, 13, 18], [24, 31, 52], [58, 76, 124], [128, 152, 206], [236, 242, 255]];
export const VOCALS = [[11, 13, 18], [46, 20, 30], [140, 44, 56], [255, 125, 110], [255, 238, 214]];

function palette(stops) {
  const colours = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(colours.buffer);
  for (let level = 0; level < 256; level++) {
    const at = (level / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let part = 0; part < 3; part++) {
      bytes[4 * level + part] = stops[low][part] + (at - low) * (stops[low + 1][part] - stops[low][part]);
    }
    bytes[4 * level + 3] = 255;
  }
  return colours;
}

export class Picture {
  #canvas;
  #context;
  #strip = document.createElement("canvas");
  #pixels;
  #column;
  #palette;
  #next = 0;
  #isNew = true;

  constructor(canvas, stops) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#palette = palette(stops);
    this.#strip.width = COLUMNS;
    this.#strip.height = BANDS;
    this.#pixels = this.#strip.getContext("2d", { alpha: false });
    this.#pixels.fillStyle = `rgb(${stops[0].join()})`;
    this.#pixels.fillRect(0, 0, COLUMNS, BANDS);
    this.#column = this.#pixels.createImageData(1, BANDS);
    new ResizeObserver(() => this.#resize()).observe(canvas);
  }

  // levels: lowest band first
  add(levels) {
    const colours = new Uint32Array(this.#column.data.buffer);
    for (let band = 0; band < BANDS; band++) colours[BANDS - 1 - band] = this.#palette[levels[band]];
    this.#pixels.putImageData(this.#column, this.#next, 0);
    this.#next = (this.#next + 1) % COLUMNS;
    this.#isNew = true;
  }

  draw() {
    if (!this.#isNew || !this.#canvas.width) return;
    this.#isNew = false;
    const { width, height } = this.#canvas;
    if (still.matches) {
      this.#context.drawImage(this.#strip, 0, 0, width, height);
      this.#context.fillStyle = "#ffffff66";
      this.#context.fillRect((this.#next * width) / COLUMNS, 0, 2, height);
      return;
    }
    const split = this.#next;
    const old = Math.round(((COLUMNS - split) * width) / COLUMNS);
    this.#context.drawImage(this.#strip, split, 0, COLUMNS - split, BANDS, 0, 0, old, height);
    if (split) this.#context.drawImage(this.#strip, 0, 0, split, BANDS, old, 0, width - old, height);
  }

  #resize() {
    const scale = Math.min(devicePixelRatio, 2);
    this.#canvas.width = Math.round(this.#canvas.clientWidth * scale);
    this.#canvas.height = Math.round(this.#canvas.clientHeight * scale);
    this.#isNew = true;
  }
}

export function hearPictures(bytes, mixture, vocals) {
  for (let start = 0; start < bytes.length; start += 2 * BANDS) {
    mixture.add(bytes.subarray(start, start + BANDS));
    vocals.add(bytes.subarray(start + BANDS, start + 2 * BANDS));
  }
}
