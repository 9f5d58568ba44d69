"use strict";
/* The boxes of one video: what was drawn, what a tracker proposes, undo, and the text that the loader reads. */

const UNDO_STEPS = 300;
const COALESCE = 700; // ms: key presses of one kind that follow so closely are one step back
const DENSE = 0.5; // of the frames: a file with more rows of one athlete is a track, not keyframes

const hundredth = (value) => Math.round(value * 100) / 100 + 0;

/** A box as the loader will read it: x, y, w, h in hundredths, x2 = x + w - 1. */
function tidyBox([x1, y1, x2, y2]) {
  const [x, y, w, h] = [x1, y1, x2 - x1 + 1, y2 - y1 + 1].map(hundredth);
  return [x, y, x + w - 1, y + h - 1];
}

/** Linear interpolation between the entries [frame, box] of a map, the nearest one held outside. */
function interpolate(entries, frame) {
  let before = null, after = null;
  for (const [at, box] of entries) {
    if (at <= frame && (before === null || at > before[0])) before = [at, box];
    if (at >= frame && (after === null || at < after[0])) after = [at, box];
  }
  if (before === null || after === null || before[0] === after[0]) return (before || after)[1];
  const steps = after[0] - before[0];
  return before[1].map((value, side) => ((after[1][side] - value) / steps) * (frame - before[0]) + value);
}

/** One athlete. A track is moved through the keyframes: each corrects it, less and less towards the next one. */
class Athlete {
  constructor(id) {
    this.id = id;
    this.keys = new Map(); // frame -> {box, label}
    this.track = new Map();
    this.gone = new Map(); // frame -> {box, label}: rows that say that the athlete is not there; their boxes mean nothing
  }

  copy() {
    const copy = new Athlete(this.id);
    copy.keys = new Map(this.keys);
    copy.track = new Map(this.track);
    copy.gone = new Map(this.gone);
    return copy;
  }

  get empty() {
    return !this.keys.size && !this.track.size;
  }

  boxAt(frame) {
    if (this.empty) return null;
    if (this.keys.has(frame)) return this.keys.get(frame).box;
    const keys = [...this.keys].map(([at, {box}]) => [at, box]);
    if (!this.track.size) return interpolate(keys, frame);
    const track = [...this.track].map(([at, {box}]) => [at, box]);
    const base = interpolate(track, frame);
    if (!keys.length) return base;
    const offsets = keys.map(([at, box]) => {
      const own = interpolate(track, at);
      return [at, box.map((value, side) => value - own[side])];
    });
    const offset = interpolate(offsets, frame);
    return base.map((value, side) => value + offset[side]);
  }

  get known() {
    return [...this.keys.keys(), ...this.track.keys()];
  }

  /** The frame nearest to `frame` between the athlete's first and last box. */
  nearestThere(frame) {
    return Math.min(Math.max(frame, Math.min(...this.known)), Math.max(...this.known));
  }

  /** Where the box of a frame comes from, in a word. */
  kindAt(frame) {
    const known = this.known;
    if (!known.length) return "no box";
    if (this.keys.has(frame)) return "keyframe";
    if (this.awayAt(frame)) return "outside: not in this shot";
    if (this.track.has(frame)) return "tracker";
    return frame < Math.min(...known) || frame > Math.max(...known) ? "held" : "between";
  }

  /** Whether the latest row up to `frame` says that the athlete is not there. */
  awayAt(frame) {
    const latest = Math.max(...[...this.known, ...this.gone.keys()].filter((at) => at <= frame));
    return this.gone.has(latest) && !this.keys.has(latest) && !this.track.has(latest);
  }

  rows() {
    if (this.empty) return [];
    const moved = [...this.track.keys()].filter((frame) => !this.keys.has(frame));
    const rows = moved.map((frame) => ({frame, box: tidyBox(this.boxAt(frame)), label: this.track.get(frame).label}));
    for (const [frame, {box, label}] of this.keys) rows.push({frame, box, label});
    for (const [frame, {box, label}] of this.gone) if (!this.keys.has(frame)) rows.push({frame, box, label});
    return rows.map((row) => ({...row, id: this.id}));
  }
}

class Annotation {
  /** `words`: the overview's `hand` and `trackers`, the labels of rows by hand and by trackers. */
  constructor(rows, frames, words) {
    this.words = words;
    this.frames = frames;
    this.past = [];
    this.future = [];
    this.last = {name: "", time: 0};
    this.active = 0;
    this.athletes = this.sorted(rows);
  }

  sorted(rows) {
    const athletes = new Map();
    const {hand, trackers} = this.words;
    for (const {frame, id, box, label} of rows) {
      if (!athletes.has(id)) athletes.set(id, new Athlete(id));
      const athlete = athletes.get(id);
      const dense = rows.filter((row) => row.id === id).length > Math.max(8, DENSE * this.frames.length);
      const tracked = trackers.includes(label) || (dense && label !== hand);
      const rowsOf = label === this.words.outside ? athlete.gone : tracked ? athlete.track : athlete.keys;
      rowsOf.set(frame, {box, label});
    }
    return athletes.size ? [...athletes.values()] : [new Athlete("0")];
  }

  get athlete() {
    return this.athletes[this.active];
  }

  get drawn() {
    return this.athletes.filter((athlete) => !athlete.empty);
  }

  /** The athletes that are there, from their first to their last box; where none is, the nearest in time. */
  thereAt(frame) {
    const nearest = this.drawn.map((athlete) => ({athlete, at: athlete.nearestThere(frame)}));
    const away = Math.min(...nearest.map(({at}) => Math.abs(at - frame)));
    const close = nearest.filter(({at}) => Math.abs(at - frame) === away);
    const earliest = Math.min(...close.map(({at}) => at));
    return close.filter(({at}) => at === earliest).map(({athlete}) => athlete);
  }

  /** As the loader reads it with boxes.several=union. */
  unionAt(frame) {
    const boxes = this.thereAt(frame).map((athlete) => athlete.boxAt(frame));
    return boxes.length ? unionBox(boxes) : null;
  }

  /** Every change goes through here, so that it can be taken back. */
  change(name, action) {
    const now = Date.now();
    if (name !== this.last.name || now - this.last.time > COALESCE) {
      this.past.push(this.snapshot());
      if (this.past.length > UNDO_STEPS) this.past.shift();
    }
    this.last = {name, time: now};
    this.future = [];
    action();
  }

  snapshot() {
    return {active: this.active, athletes: this.athletes.map((athlete) => athlete.copy())};
  }

  restore(from, to) {
    if (!from.length) return false;
    to.push(this.snapshot());
    Object.assign(this, from.pop());
    this.last = {name: "", time: 0};
    return true;
  }

  undo() {
    return this.restore(this.past, this.future);
  }

  redo() {
    return this.restore(this.future, this.past);
  }

  setBox(name, frame, box) {
    this.change(`${name} ${frame} ${this.active}`, () => {
      this.athlete.keys.set(frame, {box: tidyBox(box), label: this.words.hand});
    });
  }

  removeKey(frame) {
    if (!this.athlete.keys.has(frame)) return false;
    this.change("", () => this.athlete.keys.delete(frame));
    return true;
  }

  dropTracks() {
    this.change("", () => this.athletes.forEach((athlete) => {
      athlete.track.clear();
      athlete.gone.clear();
    }));
  }

  /** The next athlete; a second one where there is one only. */
  other() {
    if (this.athletes.length === 1 && !this.athlete.empty) {
      const id = this.athlete.id === "1" ? "0" : "1";
      this.change("", () => this.athletes.push(new Athlete(id)));
    }
    this.active = (this.active + 1) % this.athletes.length;
  }

  /** Keyframes by athlete and frame: what a tracker starts from. */
  keyframes() {
    const athletes = this.drawn.length ? this.drawn : [this.athlete];
    const window = new Set(this.frames);
    return Object.fromEntries(athletes.map((athlete) => {
      const keys = [...athlete.keys].filter(([frame]) => window.has(frame));
      return [athlete.id, Object.fromEntries(keys.map(([frame, {box}]) => [frame, box]))];
    }));
  }

  setTracks(rows) {
    this.change("", () => {
      for (const id of new Set(rows.map((row) => row.id))) {
        if (!this.athletes.some((athlete) => athlete.id === id)) this.athletes.push(new Athlete(id));
      }
      for (const athlete of this.athletes) {
        const own = rows.filter((row) => row.id === athlete.id), left = ({label}) => label === this.words.outside;
        const map = (some) => new Map(some.map(({frame, box, label}) => [frame, {box, label}]));
        if (!own.length) continue;
        athlete.track = map(own.filter((row) => !left(row)));
        athlete.gone = map(own.filter(left));
      }
    });
  }

  /** DarkLabel's default format: frame,id,x,y,w,h,label. */
  text() {
    const rows = this.athletes.flatMap((athlete) => athlete.rows()).sort((a, b) => a.frame - b.frame);
    return rows.map(({frame, id, box: [x1, y1, x2, y2], label}) => {
      const word = label.replace(/[,"]/g, " ").split(/\s+/).filter(Boolean).join(" ");
      return `${frame},${id},${[x1, y1, x2 - x1 + 1, y2 - y1 + 1].map(hundredth).join(",")},${word}\n`;
    }).join("");
  }
}
