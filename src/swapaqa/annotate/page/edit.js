"use strict";
/* Showing a frame, and every way to change its boxes. */

function shown() {
  const {video, annotation, position, pictures, masks, ratio} = now;
  return video
    ? {picture: pictures[position], mask: masks[position], size: video.size, frame: video.frames[position], annotation, ratio}
    : {};
}

function draw() {
  stage.draw();
  const {video, annotation, position} = now;
  if (!video) return;
  at("title").textContent = video.id;
  at("scrubber").value = position;
  drawMarks(at("marks"), annotation, position, video.cuts);
  const frame = video.frames[position], athlete = annotation.athlete, box = athlete.boxAt(frame);
  const kind = athlete.kindAt(frame);
  const [x1, y1, x2, y2] = box || [];
  const digits = (value) => value.toFixed(1);
  const extent = box ? `x ${digits(x1)}  y ${digits(y1)}  w ${digits(x2 - x1 + 1)}  h ${digits(y2 - y1 + 1)}` : "";
  const who = annotation.athletes.length > 1 ? `athlete ${annotation.active + 1} of ${annotation.athletes.length} · ` : "";
  const note = annotation.drawn.length > 1 ? " · white: union, train with boxes.several=union" : "";
  at("numbers").textContent =
    `frame ${frame} (${position + 1} of ${video.frames.length}) · ${who}${kind}  ${extent}${note}`;
  drawSwap();
}

function setBox(name, box) {
  now.annotation.setBox(name, now.video.frames[now.position], limitBox(box, now.video.size));
  changed();
}

function activate(index) {
  now.annotation.active = index;
  draw();
}

/** The box that is shown becomes a keyframe; where there is none, one in the middle. */
function pin() {
  const [height, width] = now.video.size, side = Math.min(height, width) / 4;
  const box = now.annotation.athlete.boxAt(now.video.frames[now.position]);
  const x = (width - side) / 2, y = (height - side) / 2;
  setBox("pin", box || [x, y, x + side - 1, y + side - 1]);
}

function nudge([dx1, dy1, dx2, dy2], far) {
  const box = now.annotation.athlete.boxAt(now.video.frames[now.position]), by = far ? 10 : 1;
  if (box) setBox("nudge", [box[0] + dx1 * by, box[1] + dy1 * by, box[2] + dx2 * by, box[3] + dy2 * by]);
}

function go(position) {
  if (!now.video) return;
  now.position = Math.min(Math.max(position, 0), now.video.frames.length - 1);
  draw();
}

/** To the next keyframe or cut: after a cut an athlete needs a box of its own. */
function stepKey(direction) {
  const keys = now.annotation.athletes.flatMap((athlete) => [...athlete.keys.keys()]);
  const positions = keys.map((frame) => now.video.frames.indexOf(frame)).filter((index) => index >= 0);
  const beyond = [...positions, ...now.video.cuts].filter((index) => (index - now.position) * direction > 0);
  if (beyond.length) go(direction > 0 ? Math.min(...beyond) : Math.max(...beyond));
}

function back(done) {
  if (done) changed();
}

async function track() {
  if (!backend.tracks || now.busy) return;
  const {video, annotation} = now;
  now.busy = "track";
  say("tracking …");
  try {
    const {rows, lost, frames} = await backend.track(video, annotation.keyframes());
    if (video !== now.video) return;
    annotation.setTracks(rows);
    now.note = lost ? `the tracker lost ${lost} of ${frames} frames` : "followed in all frames";
    changed();
  } catch (error) {
    say(error.message, true);
  } finally {
    now.busy = "";
  }
}

async function accept() {
  await flush();
  if (!now.video || now.dirty) return;
  try {
    const {state} = await backend.accept(now.video, now.video.state !== "accepted");
    noteState(state);
  } catch (error) {
    say(error.status === 409 && now.video.digest === null ? "no boxes to accept" : error.message, true);
  }
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([now.annotation.text()], {type: "text/plain"}));
  link.download = now.video.file;
  link.click();
}

function stop() {
  clearInterval(now.playing);
  now.playing = null;
}

function play() {
  if (now.playing) return stop();
  now.playing = setInterval(() => go((now.position + 1) % now.video.frames.length), 80);
}
