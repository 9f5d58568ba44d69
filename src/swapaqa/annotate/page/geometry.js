"use strict";
/* Boxes are [x1, y1, x2, y2] in inclusive pixels, sizes [height, width]: as in swapaqa.augment.swap, whose Eq. (2) and
   Eq. (3) are repeated here for the live preview. tests/annotate/test_page.py compares both. */

/** Eq. (2): a box grown about its centre by `ratio` and limited to the frame; [1, 1, 0, 0] for one outside of it. */
function scaleBox([x1, y1, x2, y2], ratio, [height, width]) {
  if (x2 < 0 || x1 > width - 1 || y2 < 0 || y1 > height - 1) return [1, 1, 0, 0];
  const growX = (x2 - x1) * ((ratio - 1) / 2), growY = (y2 - y1) * ((ratio - 1) / 2);
  return [
    Math.max(x1 - growX, 0), Math.max(y1 - growY, 0),
    Math.min(x2 + growX, width), Math.min(y2 + growY, height),
  ];
}

/** To 1e-4, halves to even, as torch rounds. */
function roundFine(value) {
  const scaled = value * 1e4, low = Math.floor(scaled);
  const up = scaled - low > 0.5 || (scaled - low === 0.5 && low % 2 !== 0);
  return (up ? low + 1 : low) / 1e4;
}

/** Eq. (3): left, top, right, bottom of the pixels inside the scaled box: columns left to right - 1. */
function pixelBounds(box, ratio, size) {
  const [height, width] = size;
  const [x1, y1, x2, y2] = scaleBox(box, ratio, size).map(roundFine);
  const inside = (value, end) => Math.min(Math.max(value, 0), end);
  return [
    inside(Math.ceil(x1), width), inside(Math.ceil(y1), height),
    inside(Math.floor(x2) + 1, width), inside(Math.floor(y2) + 1, height),
  ];
}

/** A box on a source frame of `size` -> the same on the resized and cropped frame, as Geometry.crop_boxes. */
function placeBox(box, size, geometry) {
  const {left, top} = geometry;
  const scale = [geometry.width / size[1], geometry.height / size[0]];
  return box.map((value, side) => (value + 0.5) * scale[side % 2] - 0.5 - (side % 2 ? top : left));
}

/** The box around several. */
function unionBox(boxes) {
  return [
    Math.min(...boxes.map((b) => b[0])), Math.min(...boxes.map((b) => b[1])),
    Math.max(...boxes.map((b) => b[2])), Math.max(...boxes.map((b) => b[3])),
  ];
}

/** A box with sides of at least 2 pixels that has at least 2 pixels in the frame. */
function limitBox([x1, y1, x2, y2], [height, width]) {
  const w = Math.max(x2 - x1 + 1, 2), h = Math.max(y2 - y1 + 1, 2);
  const x = Math.min(Math.max(x1, 2 - w), width - 2), y = Math.min(Math.max(y1, 2 - h), height - 2);
  return [x, y, x + w - 1, y + h - 1];
}
