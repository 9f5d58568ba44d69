"use strict";
/* The swap of the shown frame with the background of a donor, as the network sees it. */

async function chooseDonor(id) {
  at("donor").value = id;
  try {
    now.donor = {...await backend.video(id), pictures: new Map()};
  } catch (error) {
    now.donor = null;
    say(`donor: ${error.message}`, true);
  }
  drawSwap();
}

const stepDonor = (steps) => chooseDonor(neighbour(at("donor").value, steps, ({id}) => id !== now.video?.id));

async function donorPicture() {
  const {donor, position} = now, index = Math.min(position, donor.frames.length - 1);
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
}

/** The pixels that the swap keeps of a box on the source frame, on the network's grid. */
function swapBounds(box) {
  const {geometry} = now.overview, size = [geometry.crop, geometry.crop];
  return pixelBounds(placeBox(box, now.video.size, geometry), now.ratio, size);
}

function setRatio(value) {
  now.ratio = Math.min(Math.max(Math.round(value * 10) / 10, 0.2), 5);
  draw();
}
