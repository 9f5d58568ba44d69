"use strict";
/* The swap of the shown frame with the background of a donor, as the network sees it. */

async function chooseDonor(id) {
  at("donor").value = id;
  try {
    const video = await backend.video(id);
    now.donor = {...video, pictures: new Map(), annotation: new Annotation(video.rows, video.frames, now.overview)};
  } catch (error) {
    now.donor = null;
    say(`donor: ${error.message}`, true);
  }
  drawSwap();
}

const stepDonor = (steps) => chooseDonor(neighbour(at("donor").value, steps, ({id}) => id !== now.video?.id));

const donorIndex = () => Math.min(now.position, now.donor.frames.length - 1);

async function donorPicture() {
  const {donor} = now, index = donorIndex();
  if (!donor.pictures.has(index)) {
    donor.pictures.set(index, null);
    donor.pictures.set(index, await loadPicture(backend.frameAddress(donor, index)));
    if (donor === now.donor) drawSwap();
  }
  return donor.pictures.get(index);
}

async function drawSwap() {
  const {video, annotation, position, pictures, donor, ratio, overview: {geometry}} = now, canvas = at("preview");
  at("ratio-value").textContent = ratio.toFixed(1);
  at("ratio").value = ratio;
  if (!video || !donor) return;
  const other = await donorPicture(), own = pictures[position];
  if (!other || !own || position !== now.position || video !== now.video) return;
  canvas.width = canvas.height = geometry.crop;
  const context = canvas.getContext("2d"), {left, top} = geometry;
  const place = (picture) => context.drawImage(picture, -left, -top, geometry.width, geometry.height);
  if (now.overview.masks) {
    place(own);
    at("share").textContent = "the swap keeps the red outline" + (now.ratio === 1 ? "" : `, grown to ${now.ratio.toFixed(1)}`);
    drawByProgram(context, [0, 0, 0, 0], [0, 0, 0, 0]);
    return;
  }
  const box = annotation.unionAt(video.frames[position]);
  if (!box) {
    place(own);
    at("share").textContent = "no box in this video";
    return;
  }
  const [x1, y1, x2, y2] = swapBounds(box);
  place(other);
  context.save();
  context.beginPath();
  context.rect(x1, y1, Math.max(x2 - x1, 0), Math.max(y2 - y1, 0));
  context.clip();
  place(own);
  context.restore();
  const kept = Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0) / geometry.crop ** 2;
  at("share").textContent = `${(100 * (1 - kept)).toFixed(0)} % of the pixels are the donor's`;
  if (now.variant === "paper") return;
  const covers = donor.annotation.unionAt(donor.frames[donorIndex()]);
  if (covers) drawByProgram(context, box, covers);
  else at("share").textContent += "; the donor has no box";
}

/** Other variants than the paper's and masks are swapped by the program, as in a training; the last one asked wins. */
async function drawByProgram(context, box, covers) {
  const {video, donor, position, ratio, variant} = now, asked = ++now.previewed, index = donorIndex();
  at("preview").ariaBusy = "true";
  try {
    const {picture} = await backend.preview([[video.id, position, box], [donor.id, index, covers]], ratio, variant);
    const swapped = await loadPicture(picture);
    if (asked === now.previewed && swapped) context.drawImage(swapped, 0, 0);
  } catch (error) {
    say(error.message, true);
  } finally {
    if (asked === now.previewed) at("preview").ariaBusy = "false";
  }
}

/** The pixels that the swap keeps of a box on the source frame, on the network's grid. */
function swapBounds(box) {
  const {geometry} = now.overview, size = [geometry.crop, geometry.crop];
  return pixelBounds(placeBox(box, now.video.size, geometry), now.ratio, size);
}

function setVariant(name) {
  now.variant = name;
  at("variant").value = name;
  draw();
}

function stepVariant() {
  const {variants} = now.overview;
  setVariant(variants[(variants.indexOf(now.variant) + 1) % variants.length]);
}

function setRatio(value) {
  now.ratio = Math.min(Math.max(Math.round(value * 10) / 10, 0.2), 5);
  draw();
}
