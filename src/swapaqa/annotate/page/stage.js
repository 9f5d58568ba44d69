"use strict";
/* The frame with its boxes, drawn and dragged, and the marks above the scrubber. */

const COLOURS = ["#ffd400", "#35d0ff", "#ff7ad9", "#8dff6a"];
const SCALED = "#ff4040";
const HANDLE = 9; // CSS pixels around a side or corner in which it is grabbed

class Stage {
  /** `shown()` gives {picture, mask, size, frame, annotation, ratio}; `commit(name, box)` sets the active athlete's box. */
  constructor(canvas, room, shown, commit, activate) {
    Object.assign(this, {canvas, room, shown, commit, activate, drag: null, scale: 1});
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => { this.drag = null; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(room);
  }

  /** Position of an event in the frame, continuous: pixel i covers i to i + 1. */
  place(event) {
    const bounds = this.canvas.getBoundingClientRect();
    return [(event.clientX - bounds.left) / this.scale, (event.clientY - bounds.top) / this.scale];
  }

  /** Which sides of a box a point grabs: [-1 | 0 | 1, ...]; [0, 0] inside; null outside. */
  grip([x1, y1, x2, y2], [x, y]) {
    const near = HANDLE / this.scale;
    if (x < x1 - near || x > x2 + 1 + near || y < y1 - near || y > y2 + 1 + near) return null;
    const side = (value, low, high) => {
      const inner = Math.min(near, (high - low) / 4);
      return value < low + inner ? -1 : value > high - inner ? 1 : 0;
    };
    return [side(x, x1, x2 + 1), side(y, y1, y2 + 1)];
  }

  press(event) {
    const {annotation, frame, size} = this.shown();
    if (!annotation || event.button) return;
    event.preventDefault();
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.place(event), order = [annotation.active, ...annotation.athletes.keys()];
    for (const index of event.shiftKey ? [] : order) {
      const box = annotation.athletes[index].boxAt(frame), grip = box && this.grip(box, at);
      if (grip) {
        this.activate(index);
        this.drag = {kind: grip[0] || grip[1] ? "resize" : "move", at, box, grip, now: box};
        return;
      }
    }
    const start = [Math.min(Math.max(at[0], 0), size[1]), Math.min(Math.max(at[1], 0), size[0])];
    this.drag = {kind: "draw", at: start, box: null, now: null};
  }

  move(event) {
    const {annotation, frame, size} = this.shown(), at = this.place(event);
    if (!this.drag) {
      const box = annotation?.athlete.boxAt(frame), grip = box && this.grip(box, at);
      const names = {"-1,-1": "nwse", "1,1": "nwse", "1,-1": "nesw", "-1,1": "nesw", "0,-1": "ns", "0,1": "ns"};
      const resize = grip && (grip[0] || grip[1]);
      this.canvas.style.cursor = !grip ? "crosshair" : resize ? `${names[grip] || "ew"}-resize` : "move";
      return;
    }
    this.drag.now = this.dragged(at, size);
    this.draw();
  }

  dragged([x, y], size) {
    const {kind, at, box, grip} = this.drag;
    if (kind === "draw") {
      const inside = [Math.min(Math.max(x, 0), size[1]), Math.min(Math.max(y, 0), size[0])];
      const low = inside.map((value, axis) => Math.min(value, at[axis]));
      const high = inside.map((value, axis) => Math.max(value, at[axis]));
      return high.every((value, axis) => (value - low[axis]) * this.scale > 4)
        ? [low[0], low[1], high[0] - 1, high[1] - 1] : null;
    }
    const by = [x - at[0], y - at[1]];
    if (kind === "move") return limitBox(box.map((value, side) => value + by[side % 2]), size);
    const low = [0, 1].map((axis) => box[axis] + (grip[axis] < 0 ? by[axis] : 0));
    const high = [0, 1].map((axis) => box[axis + 2] + (grip[axis] > 0 ? by[axis] : 0));
    const sorted = [0, 1].map((axis) => [Math.min(low[axis], high[axis]), Math.max(low[axis], high[axis])]);
    return limitBox([sorted[0][0], sorted[1][0], sorted[0][1], sorted[1][1]], size);
  }

  release(event) {
    if (!this.drag) return;
    const {size} = this.shown(), moved = this.dragged(this.place(event), size), {kind, at} = this.drag;
    const still = kind !== "draw" && this.place(event).every((value, axis) => value === at[axis]);
    this.drag = null;
    if (moved && !still) this.commit(`drag ${Date.now()}`, moved);
    this.draw();
  }

  draw() {
    const {picture, mask, size, frame, annotation, ratio} = this.shown();
    if (!size) return;
    const [height, width] = size, dense = window.devicePixelRatio || 1;
    this.scale = Math.min(this.room.clientWidth / width, this.room.clientHeight / height);
    const [w, h] = [width * this.scale, height * this.scale];
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    this.canvas.width = Math.round(w * dense);
    this.canvas.height = Math.round(h * dense);
    const context = this.canvas.getContext("2d");
    context.scale(dense, dense);
    context.fillStyle = "#222";
    context.fillRect(0, 0, w, h);
    if (picture) context.drawImage(picture, 0, 0, w, h);
    if (mask) context.drawImage(mask, 0, 0, w, h);
    if (!annotation) return;
    const boxes = annotation.athletes.map((athlete, index) =>
      (this.drag?.now && index === annotation.active ? this.drag.now : athlete.boxAt(frame)));
    const there = annotation.thereAt(frame).map((athlete) => annotation.athletes.indexOf(athlete));
    if (this.drag?.now) there.push(annotation.active);
    const present = boxes.filter((box, index) => box && there.includes(index));
    if (present.length) this.outline(context, scaleBox(unionBox(present), ratio, size), SCALED, [4, 4]);
    if (present.length > 1) this.outline(context, unionBox(present), "#fff", [8, 4]);
    boxes.forEach((box, index) => {
      if (box) this.athlete(context, box, index, annotation, frame);
    });
  }

  athlete(context, box, index, annotation, frame) {
    const key = annotation.athletes[index].keys.has(frame) || (this.drag && index === annotation.active);
    const colour = COLOURS[index % COLOURS.length];
    this.outline(context, box, colour, key ? [] : [6, 3]);
    if (index !== annotation.active) return;
    const [x1, y1, x2, y2] = [box[0], box[1], box[2] + 1, box[3] + 1].map((value) => value * this.scale);
    context.fillStyle = colour;
    for (const x of [x1, (x1 + x2) / 2, x2]) {
      for (const y of [y1, (y1 + y2) / 2, y2]) {
        if (x !== (x1 + x2) / 2 || y !== (y1 + y2) / 2) context.fillRect(x - 3, y - 3, 6, 6);
      }
    }
  }

  outline(context, [x1, y1, x2, y2], colour, dashes) {
    const s = this.scale, rectangle = [x1 * s, y1 * s, (x2 - x1 + 1) * s, (y2 - y1 + 1) * s];
    for (const [style, width, dash] of [["rgba(0,0,0,.6)", 3.5, []], [colour, 1.6, dashes]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.setLineDash(dash);
      context.strokeRect(...rectangle);
    }
    context.setLineDash([]);
  }
}

/** A row an athlete: what a tracker gave as a bar, keyframes as diamonds; cuts and the frame shown as lines. */
function drawMarks(canvas, annotation, position, cuts) {
  const dense = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  canvas.width = Math.round(w * dense);
  canvas.height = Math.round(h * dense);
  const context = canvas.getContext("2d"), inset = 8, frames = annotation.frames;
  context.scale(dense, dense);
  const x = (index) => inset + (frames.length > 1 ? index / (frames.length - 1) : 0) * (w - 2 * inset);
  const row = h / annotation.athletes.length, step = frames.length > 1 ? (w - 2 * inset) / (frames.length - 1) : w;
  const ofCuts = getComputedStyle(canvas).color, ink = getComputedStyle(document.body).color;
  context.fillStyle = ofCuts;
  for (const cut of cuts) context.fillRect(x(cut - 0.5) - 1, 0, 2, h);
  annotation.athletes.forEach((athlete, index) => {
    const y = row * (index + 0.5);
    frames.forEach((frame, at) => {
      context.globalAlpha = 0.3;
      context.fillStyle = ofCuts;
      if (athlete.gone.size && athlete.awayAt(frame)) context.fillRect(x(at) - step / 2, y - 6, step + 0.5, 12);
      context.fillStyle = COLOURS[index % COLOURS.length];
      context.globalAlpha = 0.45;
      if (athlete.track.has(frame)) context.fillRect(x(at) - step / 2, y - 2, step + 0.5, 4);
      context.globalAlpha = 1;
      if (!athlete.keys.has(frame)) return;
      context.beginPath();
      for (const [dx, dy] of [[0, -6], [5, 0], [0, 6], [-5, 0], [0, -6]]) context.lineTo(x(at) + dx, y + dy);
      context.fill();
      context.strokeStyle = "rgba(0,0,0,.5)";
      context.stroke();
    });
  });
  context.fillStyle = ink;
  context.fillRect(x(position) - 1, 0, 2, h);
}
