"use strict";
/* What the page knows, its frames, and saving after every change. The other scripts share `now` and `at`. */

const at = (id) => document.getElementById(id);
const SAVE_AFTER = 150; // ms after the last change
const RETRY_AFTER = 3000;
const LOADING = 4; // frames that are asked for at once
const STATES = {none: "no boxes", tracker: "by a tracker", hand: "drawn", accepted: "accepted"};

const backend = window.EMBEDDED ? new EmbeddedBackend(window.EMBEDDED) : new ServerBackend();
const now = {
  overview: null, video: null, annotation: null, position: 0, pictures: [], masks: [], donor: null, ratio: 2,
  playing: null, visit: 0, dirty: false, saving: null, timer: null, busy: "", note: "",
  variant: "paper", previewed: 0,
};

// --- frames ---------------------------------------------------------------------------------------------------------

function loadPicture(address) {
  return new Promise((resolve) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => resolve(null);
    picture.src = address;
  });
}

/** Fetch the frames of the open video, those near the shown one first, until another video is opened. */
async function loadFrames(visit) {
  const {video, pictures, masks} = now, asked = new Set();
  const next = () => {
    const waiting = video.frames.map((_, index) => index).filter((index) => !asked.has(index));
    return waiting.sort((a, b) => Math.abs(a - now.position) - Math.abs(b - now.position))[0];
  };
  const work = async () => {
    for (let index = next(); index !== undefined && visit === now.visit; index = next()) {
      asked.add(index);
      if (now.overview.masks) masks[index] = await loadPicture(backend.maskAddress(video, index));
      pictures[index] = await loadPicture(backend.frameAddress(video, index));
      if (visit === now.visit && index === now.position) draw();
    }
  };
  await Promise.all(Array.from({length: LOADING}, work));
}

// --- opening and saving ---------------------------------------------------------------------------------------------

async function openVideo(id) {
  await flush();
  if (now.dirty && !confirm("The last changes could not be saved. Leave this video anyway?")) return;
  stop();
  const visit = ++now.visit;
  at("title").textContent = `${id} …`;
  try {
    const video = await backend.video(id);
    if (visit !== now.visit) return;
    const annotation = new Annotation(video.rows, video.frames, now.overview);
    Object.assign(now, {video, annotation, pictures: [], masks: [], dirty: false, note: ""});
    now.position = Math.min(now.position, video.frames.length - 1);
    at("scrubber").max = video.frames.length - 1;
    at("conflict").hidden = true;
    noteState(video.state);
    say("");
    loadFrames(visit);
    if (!now.donor || now.donor.id === id) await chooseDonor(neighbour(id, 1));
  } catch (error) {
    if (visit !== now.visit) return;
    Object.assign(now, {video: null, annotation: null, pictures: [], masks: []});
    at("title").textContent = id;
    at("state").textContent = "";
    say(error.message, true);
  }
  markList(id);
  draw();
}

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch { // a stray per cent sign
    return text;
  }
};

/** Open the video that the page's address names, `#diving/003` or at a frame `#diving/003@31`; false for none. */
async function openAddressed() {
  const [, id, frame] = /^(.*?)(?:@(\d+))?$/.exec(decoded(location.hash.slice(1)));
  if (!now.overview.videos.some((video) => video.id === id)) return false;
  await openVideo(id);
  if (frame !== undefined && now.video) go(now.video.frames.indexOf(Number(frame)));
  return true;
}

/** The contact sheet of the open video's action, in a tab of its own. */
function openSheet() {
  const {action} = now.overview.videos.find(({id}) => id === currentId());
  if (now.overview.sheets.includes(action)) window.open(`sheet?action=${encodeURIComponent(action)}`, "_blank");
}

function changed() {
  now.dirty = true;
  document.body.dataset.saved = "no";
  say("saving");
  draw();
  clearTimeout(now.timer);
  now.timer = setTimeout(flush, SAVE_AFTER);
}

/** Write what has changed; one save at a time, and again if something changed meanwhile. */
async function flush() {
  clearTimeout(now.timer);
  while (now.saving) await now.saving;
  if (!now.dirty || !at("conflict").hidden) return;
  now.saving = saveOnce(now.video, now.annotation);
  await now.saving;
  now.saving = null;
}

async function saveOnce(video, annotation) {
  now.dirty = false;
  try {
    const rows = annotation.athletes.flatMap((athlete) => athlete.rows());
    const {digest, state} = await backend.save(video, annotation.text(), rows);
    video.digest = digest;
    noteState(state, video.id);
    if (now.dirty) return;
    document.body.dataset.saved = "yes";
    say(backend.where);
  } catch (error) {
    now.dirty = true;
    say(`NOT SAVED: ${error.message}`, true);
    if (error.status === 409) return conflict();
    if (error.status === 0) now.timer = setTimeout(flush, RETRY_AFTER);
  }
}

function conflict() {
  at("conflict-text").textContent = `${now.video.file} was changed by somebody else since this page has read it.`;
  at("conflict").hidden = false;
  at("theirs").focus();
}

at("theirs").onclick = () => {
  now.dirty = false;
  at("conflict").hidden = true;
  openVideo(now.video.id);
};
at("mine").onclick = async () => {
  now.video.digest = (await backend.video(now.video.id)).digest; // read it, then write over it
  at("conflict").hidden = true;
  flush();
};

function say(text, bad = false) {
  at("saved").textContent = text;
  at("saved").className = bad ? "bad" : "";
}
