"use strict";
/* Where videos come from and boxes go: the program that serves the page, or the page itself if it was written as a file. */

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status; // 0: nobody answered
  }
}

class ServerBackend {
  constructor() {
    this.tracks = true;
    this.where = "saved";
  }

  list() { return this.ask("list"); }
  video(id) { return this.ask(`video?id=${encodeURIComponent(id)}`); }
  frameAddress(video, position) { return `frame?id=${encodeURIComponent(video.id)}&n=${position}`; }
  maskAddress(video, position) { return `mask?id=${encodeURIComponent(video.id)}&n=${position}`; }
  save(video, text) { return this.ask("save", {id: video.id, text, digest: video.digest}); }
  accept(video, accepted) { return this.ask("accept", {id: video.id, digest: video.digest, accepted}); }
  track(video, athletes) { return this.ask("track", {id: video.id, athletes}); }

  preview(shown, ratio, variant) { return this.ask("preview", {id: shown[0][0], shown, ratio, variant}); }

  async ask(route, body) {
    let answer, content;
    try {
      const json = {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
      answer = await fetch(route, body ? json : {});
      content = await answer.json();
    } catch {
      throw new Refused(0, "the program that serves this page has ended; e downloads the boxes of this video");
    }
    if (!answer.ok) throw new Refused(answer.status, content.error);
    return content;
  }
}

/** Videos within the page; boxes are kept by the browser and downloaded. */
class EmbeddedBackend {
  constructor(content) {
    this.content = content;
    this.tracks = false;
    this.where = "kept in this browser; e downloads";
  }

  key(id) { return `${this.content.key} ${id}`; }
  kept(id) { return JSON.parse(localStorage.getItem(this.key(id))); }

  async list() {
    const {videos, ...rest} = this.content.overview;
    return {...rest, videos: videos.map((video) => ({...video, state: this.kept(video.id)?.state || video.state}))};
  }

  async video(id) {
    const video = this.content.videos[id], kept = this.kept(id);
    return {...video, rows: kept ? kept.rows : video.rows, state: kept ? kept.state : video.state};
  }

  frameAddress(video, position) { return this.content.videos[video.id].pictures[position]; }

  async save(video, text, rows) {
    const state = rows.length ? "hand" : "none";
    localStorage.setItem(this.key(video.id), JSON.stringify({rows, state}));
    return {digest: null, state};
  }

  async accept(video, accepted) {
    const kept = this.kept(video.id) || {rows: video.rows};
    const state = accepted ? "accepted" : "hand";
    localStorage.setItem(this.key(video.id), JSON.stringify({...kept, state}));
    return {digest: null, state};
  }
}
