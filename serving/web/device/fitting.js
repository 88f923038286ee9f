// From a frame of the video to the model's input: `fit_frame` of src/actreel/video/clips.py, within one level of 255.

/** Rounds as Python and OpenCV do: halves to the even number. */
export const roundEven = (value) => {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
};

/** For each place of `to`, which places of `from` it is made of and with what weights: OpenCV's INTER_AREA. */
function areaWeights(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const start = place * scale;
    const end = start + scale;
    const width = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const taken = [];
    if (first - start > 1e-3) taken.push([first - 1, (first - start) / width]);
    for (let at = first; at < last; at++) taken.push([at, 1 / width]);
    if (end - last > 1e-3) taken.push([last, Math.min(end - last, 1, width) / width]);
    return taken;
  });
}

/** As `areaWeights`, OpenCV's INTER_LINEAR. */
function linearWeights(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, place) => {
    const middle = Math.max(0, (place + 0.5) * scale - 0.5);
    const first = Math.min(Math.floor(middle), from - 1);
    if (first === from - 1) return [[first, 1]];
    return [
      [first, 1 - (middle - first)],
      [first + 1, middle - first],
    ];
  });
}

/** The part of a frame that `spec.fit` keeps: {left, top, columns, rows}. */
function kept({ width, height }, spec) {
  if (spec.fit !== "center_crop") return { left: 0, top: 0, columns: width, rows: height };
  const rows = Math.max(1, Math.min(height, roundEven((width * spec.height) / spec.width)));
  const columns = Math.max(1, Math.min(width, roundEven((height * spec.width) / spec.height)));
  return { left: Math.floor((width - columns) / 2), top: Math.floor((height - rows) / 2), columns, rows };
}

/**
 * Resizes a frame to the model's input.
 *
 * `frame` is {data, width, height}, four bytes a pixel (RGBA, as a canvas gives them); `spec` are the clip's settings.
 * Returns the RGB bytes of a frame of `spec.height` times `spec.width`, row by row.
 */
export function fit(frame, spec) {
  const { left, top, columns, rows } = kept(frame, spec);
  const shrinks = rows >= spec.height && columns >= spec.width;
  const weights = shrinks ? areaWeights : linearWeights;
  const across = weights(columns, spec.width);
  // OpenCV rounds halves up where a pixel is the mean of exactly four.
  const round = shrinks && columns === 2 * spec.width && rows === 2 * spec.height ? Math.round : roundEven;
  const out = new Uint8Array(spec.height * spec.width * 3);
  const sums = new Float64Array(spec.width * 3);
  weights(rows, spec.height).forEach((down, row) => {
    sums.fill(0);
    for (const [y, share] of down) addRow(sums, frame, (top + y) * frame.width + left, across, share);
    for (let at = 0; at < sums.length; at++) out[row * sums.length + at] = round(sums[at]);
  });
  return spec.colour === "grey" ? greyed(out) : out;
}

function addRow(sums, { data }, start, across, share) {
  for (let column = 0; column < across.length; column++) {
    for (const [x, part] of across[column]) {
      const from = 4 * (start + x);
      const weight = part * share;
      sums[3 * column] += data[from] * weight;
      sums[3 * column + 1] += data[from + 1] * weight;
      sums[3 * column + 2] += data[from + 2] * weight;
    }
  }
}

function greyed(rgb) {
  for (let at = 0; at < rgb.length; at += 3) {
    const grey = (rgb[at] * 9798 + rgb[at + 1] * 19235 + rgb[at + 2] * 3735 + 16384) >> 15;
    rgb.fill(grey, at, at + 3);
  }
  return rgb;
}
