// Which frames of a video the model sees, and what its windows' scores say together: `plan_windows` of
// src/actreel/inference/windows.py, `segments_of` of segments.py and `answer_for` of classifier.py, in numbers of 64 bits.

import { roundEven } from "./fitting.js";

const LONGEST_SINGLE = 1.5;
const TOP_K = 5;

/** How windows cover a video: {clipFrames, hop, numWindows, numParts}. */
export function plan(durationS, { num_frames: clipFrames }, clipDurationS) {
  const hop = Math.max(1, Math.floor(clipFrames / 2));
  let numWindows = 1;
  if (clipDurationS !== null && durationS >= LONGEST_SINGLE * clipDurationS) {
    // A browser does not say how many frames a video has, so here a video of few frames may repeat them.
    numWindows += Math.max(1, roundEven(((durationS / clipDurationS - 1) * clipFrames) / hop));
  }
  return { clipFrames, hop, numWindows, numParts: clipFrames + (numWindows - 1) * hop };
}

/** The middle of each part, in seconds: the frame that is shown then is the service's middle frame of the part. */
export const middles = (numParts, durationS) =>
  Array.from({ length: numParts }, (_, part) => ((2 * part + 1) * durationS) / (2 * numParts));

/** The place of the largest. */
export const argmax = (values) => values.reduce((best, value, at) => (value > values[best] ? at : best), 0);

/** The mean of rows of numbers. */
export const meanOf = (rows) => Array.from(rows[0], (_, at) => rows.reduce((sum, row) => sum + row[at], 0) / rows.length);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The mean score of each part, after each window was smoothed with its neighbours (1:2:1): [probabilities…, distance]. */
function partScores(scored, { clipFrames, hop }) {
  const rows = scored.map(({ probabilities, distance }) => [...probabilities, distance]);
  const near = (window) => rows[Math.min(Math.max(window, 0), rows.length - 1)];
  const sums = Array.from({ length: clipFrames + (rows.length - 1) * hop }, () => new Float64Array(rows[0].length));
  const cover = sums.map(() => 0);
  rows.forEach((row, window) => {
    const smooth = row.map((value, at) => (near(window - 1)[at] + 2 * value + near(window + 1)[at]) / 4);
    for (let part = window * hop; part < window * hop + clipFrames; part++) {
      smooth.forEach((value, at) => (sums[part][at] += value));
      cover[part] += 1;
    }
  });
  return sums.map((sum, part) => Array.from(sum, (value) => value / cover[part]));
}

/**
 * The actions over time, in the windows so far.
 *
 * `scored` are {probabilities, distance} of each window, `model` has `labels` and `max_distance`.
 */
export function segmentsOf(scored, planned, durationS, { labels, max_distance: maxDistance }) {
  const parts = partScores(scored, planned);
  const actions = parts.map((part) => part.slice(0, -1));
  const shown = parts.map((part, at) => (maxDistance === null || part.at(-1) <= maxDistance ? argmax(actions[at]) : -1));
  const partS = durationS / planned.numParts;
  const segments = [];
  for (let start = 0, end; start < shown.length; start = end) {
    for (end = start + 1; shown[end] === shown[start]; ) end++;
    const means = meanOf(actions.slice(start, end));
    const known = shown[start] >= 0;
    const action = known ? shown[start] : argmax(means);
    const times = { start_s: start * partS, end_s: end * partS };
    segments.push({ ...times, label: labels[action], confidence: known ? means[action] : 0, known });
  }
  return segments;
}

/** The most likely actions, the most likely first. */
export const ranked = (probabilities, labels) =>
  labels
    .map((label, at) => ({ label, confidence: probabilities[at] }))
    .sort((a, b) => b.confidence - a.confidence)
    .slice(0, TOP_K);

/** The answer for windows' mean probabilities and their distances: {label, confidence, known, top}. */
export function answerFor(scored, { labels, max_distance: maxDistance }) {
  const top = ranked(meanOf(scored.map(({ probabilities }) => probabilities)), labels);
  const known = maxDistance === null || median(scored.map(({ distance }) => distance)) <= maxDistance;
  return { label: top[0].label, confidence: known ? top[0].confidence : 0, known, top };
}
