"use strict";
// The page's data is in #data: see lifter/report/__init__.py. Scene space is Blender's: metres, Z up.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const GAP = 0, FILLED = 2;
const FEET = ["left heel", "left toe", "right heel", "right toe"];
const PALETTE = ["#57b987", "#d98bd0", "#5fb3d9", "#d9b45f", "#b69cf0", "#e08a6c", "#7fc7b2", "#c9c96a"];
const LEFT = "#ff9a3c", RIGHT = "#4c9dff";
const NAMES = data.joints, PARENTS = data.parents, J = NAMES.length;
const SECONDS = data.step / data.fps;

// Numbers

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
function unpack(packed) {
  const kind = packed.bits === 8 ? Int8Array : Int16Array, missing = -(2 ** (packed.bits - 1));
  const whole = new kind(bytes(packed.data).buffer), out = new Float32Array(whole.length);
  for (let i = 0; i < whole.length; i++) out[i] = whole[i] === missing ? NaN : whole[i] * packed.unit;
  return out;
}
const people = data.people.map((p, i) => ({
  world: unpack(p.world), image: unpack(p.image), speed: unpack(p.speed), hand: unpack(p.hand),
  confidence: bytes(p.confidence), state: bytes(p.state), stands: bytes(p.stands),
  outliers: bytes(p.outliers), swapped: bytes(p.swapped),
  hands: p.hands && {
    image: unpack(p.hands.image), fingers: unpack(p.hands.fingers), score: bytes(p.hands.score), weight: bytes(p.hands.weight),
  },
  color: PALETTE[i % PALETTE.length], shown: true,
}));

// The body: which joints are joined, and in which colour

const skipped = (name) => /(_ear|head_top|nose)$/.test(name);
const LIMBS = [];
for (let j = 0; j < J; j++)
  if (PARENTS[j] >= 0 && !skipped(NAMES[j]))
    // Clavicles and hips belong to the trunk.
    LIMBS.push([PARENTS[j], j, /clavicle|_hip$/.test(NAMES[j]) ? "" : NAMES[j].slice(0, 2)]);
const joint = (name) => NAMES.indexOf(name);
const EARS = [joint("l_ear"), joint("r_ear")], NOSE = joint("nose");
const TRUNK = ["l_shoulder", "r_shoulder", "r_hip", "l_hip"].map(joint);
const HEELS_TOES = ["l_heel", "l_toe", "r_heel", "r_toe"].map(joint);

// Hands: of both, five fingers of four points each, the thumb first. Where they are drawn, the body's knuckles are not.

const SIDES = ["l_", "r_"], WRISTS = SIDES.map((side) => joint(side + "wrist"));
const PALM = [[0, 4], [4, 8], [8, 12], [12, 16]];
const knuckle = (name) => /_(thumb|index|little)$/.test(name);
function handLines(wrist, at) {
  // Pairs of points: at(0..19) are the fingers'.
  const out = PALM.map(([a, b]) => [at(a), at(b)]);
  for (let f = 0; f < 5; f++)
    for (let k = 0; k < 4; k++) out.push([k ? at(4 * f + k - 1) : wrist, at(4 * f + k)]);
  return out;
}
function handInPicture(person, sample, k) {
  // Its 20 points behind the wrist's, or null where it was not seen.
  if (!person.hands || !person.hands.score[2 * sample + k]) return null;
  return (i) => [0, 1].map((axis) => person.hands.image[2 * (21 * (2 * sample + k) + i) + axis]);
}
function handInScene(person, sample, k) {
  // Its 20 joints, or null where the take has no fingers.
  const first = 60 * (2 * sample + k);
  if (!person.hands || WRISTS[k] < 0 || !isFinite(person.hands.fingers[first])) return null;
  const wrist = place(person, sample, WRISTS[k]);
  return (i) => wrist.map((v, axis) => v + person.hands.fingers[first + 3 * i + axis]);
}

function mix(a, b, share) {
  const of = (c, i) => parseInt(c.slice(1 + 2 * i, 3 + 2 * i), 16);
  return "#" + [0, 1, 2].map((i) => Math.round(of(a, i) * (1 - share) + of(b, i) * share).toString(16).padStart(2, "0")).join("");
}
function color(person, side) {
  if (people.length === 1) return side === "l_" ? LEFT : side === "r_" ? RIGHT : "#dfe3ea";
  // Several people: each has a colour of its own, warmer on the left side and cooler on the right.
  return side === "l_" ? mix(person.color, LEFT, 0.45) : side === "r_" ? mix(person.color, RIGHT, 0.45) : person.color;
}

// State

let now = 0, playing = false, rate = 1, chosen = 0, begun = 0;
const current = () => Math.max(0, Math.min(data.count - 1, Math.floor(now)));
const seconds = (sample) => (data.first + sample * data.step) / data.fps;

function seek(sample) {
  now = Math.max(0, Math.min(data.count - 1, sample));
  draw();
}
function play(on) {
  playing = on;
  if (on && now >= data.count - 1) now = 0;
  begun = 0;
  $("play").textContent = on ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (on) requestAnimationFrame(tick);
}
function tick(time) {
  if (!playing) return;
  if (begun) now += ((time - begun) / 1000 / SECONDS) * rate;
  begun = time;
  if (now >= data.count) now = 0;
  draw();
  requestAnimationFrame(tick);
}

// Canvases: drawn at the screen's own resolution

function ready(canvas) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = pen.lineJoin = "round";
  return [pen, width, height];
}

// Footage

const pictures = data.pictures.map(([sample, jpeg]) => ({ sample, jpeg, image: null }));
function picture(sample) {
  let low = 0, high = pictures.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pictures[middle].sample <= sample) low = middle;
    else high = middle - 1;
  }
  for (let i = low; i < Math.min(low + 12, pictures.length); i++) load(pictures[i]);
  return pictures[low];
}
function load(each) {
  if (each.image) return;
  each.image = new Image();
  each.image.onload = () => playing || draw();
  each.image.src = "data:image/jpeg;base64," + each.jpeg;
}

let overlay = true, dim = false, drawn = null;
function drawFootage() {
  const [pen, width, height] = ready($("footage"));
  const scale = Math.min(width / data.size[0], height / data.size[1]);
  const left = (width - scale * data.size[0]) / 2, top = (height - scale * data.size[1]) / 2;
  let sample = current();
  if (pictures.length) {
    const found = picture(sample);
    if (found.image.complete && found.image.naturalWidth) drawn = found;
    if (drawn) {
      sample = drawn.sample;
      pen.globalAlpha = dim ? 0.35 : 1;
      pen.drawImage(drawn.image, left, top, scale * data.size[0], scale * data.size[1]);
      pen.globalAlpha = 1;
    }
  } else {
    pen.fillStyle = "#1a1d22";
    pen.fillRect(left, top, scale * data.size[0], scale * data.size[1]);
  }
  if (!overlay) return;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, scale * data.size[0], scale * data.size[1]);
  pen.clip();
  for (const person of people) {
    if (!person.shown || person.state[sample] === GAP) continue;
    const at = (j) => [left + scale * person.image[2 * (sample * J + j)], top + scale * person.image[2 * (sample * J + j) + 1]];
    const wide = Math.max(2, height / 170);
    pen.globalAlpha = person.state[sample] === FILLED ? 0.5 : 1;
    const hands = SIDES.map((_, k) => handInPicture(person, sample, k));
    const limbs = LIMBS.filter(([, b, side]) => !(knuckle(NAMES[b]) && hands[SIDES.indexOf(side)]));
    for (const [under, over] of [["rgba(0,0,0,.55)", 2.2], [null, 0]])
      for (const [a, b, side] of limbs) {
        pen.strokeStyle = under || color(person, side);
        pen.lineWidth = wide + over;
        line(pen, at(a), at(b));
      }
    pen.fillStyle = "#fff";
    for (const [, b] of limbs) disc(pen, at(b), wide * 0.55);
    hands.forEach((hand, k) => {
      if (!hand) return;
      const on = (i) => hand(i).map((v, axis) => [left, top][axis] + scale * v);
      const lines = handLines(on(0), (i) => on(i + 1)), thin = Math.max(1, wide * 0.35);
      for (const [under, over] of [["rgba(0,0,0,.45)", 1.4], [null, 0]]) {
        pen.strokeStyle = under || mix(color(person, SIDES[k]), "#ffffff", 0.25);
        pen.lineWidth = thin + over;
        for (const [a, b] of lines) line(pen, a, b);
      }
    });
    if (people.length > 1 && EARS[0] >= 0) {
      const [x, y] = at(joint("head_top") >= 0 ? joint("head_top") : EARS[0]);
      pen.font = "600 12px system-ui, sans-serif";
      pen.fillStyle = person.color;
      pen.fillText(String(people.indexOf(person) + 1), x - 4, y - 8);
    }
  }
  pen.restore();
}
function line(pen, a, b) {
  if (!isFinite(a[0] + a[1] + b[0] + b[1])) return;
  pen.beginPath();
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
}
function disc(pen, a, radius) {
  if (!isFinite(a[0] + a[1])) return;
  pen.beginPath();
  pen.arc(a[0], a[1], radius, 0, 2 * Math.PI);
  pen.fill();
}

// 3D: a camera that turns around a point; or the shot's own

const view = { turn: 0.6, lift: 0.18, away: 4.5, to: [0, 0, 0.9], shift: [0, 0, 0], shot: false, follow: true, path: true };
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const root = (person, s) => [0, 1, 2].map((k) => person.world[3 * s * J + k]);

function middle(sample) {
  const found = people.filter((p) => p.shown && p.state[sample] !== GAP).map((p) => root(p, sample));
  return found.length ? [0, 1].map((k) => found.reduce((sum, r) => sum + r[k], 0) / found.length).concat(0.9) : null;
}
function home() {
  // Room for everybody, wherever they go.
  let low = [1e9, 1e9], high = [-1e9, -1e9];
  for (const p of people)
    for (let s = 0; s < data.count; s++)
      if (p.state[s] !== GAP)
        for (const k of [0, 1]) {
          low[k] = Math.min(low[k], p.world[3 * s * J + k]);
          high[k] = Math.max(high[k], p.world[3 * s * J + k]);
        }
  view.wide = [low[0], low[1], high[0], high[1]];
  view.all = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 0.9];
  view.to = middle(0) || view.all;
  const apart = people.length > 1 ? Math.hypot(high[0] - low[0], high[1] - low[1]) : 0;
  view.away = Math.min(20, 3.9 + 1.1 * apart);
}

function lookOut(width, height) {
  // A function from the scene to [x, y, depth] on the canvas.
  if (view.shot) {
    const rows = data.camera.rows, r = rows[Math.min(rows.length - 1, current())];
    const scale = Math.min(width / data.size[0], height / data.size[1]);
    const left = (width - scale * data.size[0]) / 2, top = (height - scale * data.size[1]) / 2;
    return (p) => {
      const c = [0, 1, 2].map((k) => r[4 * k] * p[0] + r[4 * k + 1] * p[1] + r[4 * k + 2] * p[2] + r[4 * k + 3]);
      const f = data.camera.focal / c[2];
      return [left + scale * (c[0] * f + data.camera.center[0]), top + scale * (c[1] * f + data.camera.center[1]), c[2], scale * f];
    };
  }
  const [ct, st, cl, sl] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.lift), Math.sin(view.lift)];
  const right = [ct, st, 0], forward = [-st * cl, ct * cl, -sl], up = [-st * sl, ct * sl, cl];
  const to = view.to.map((v, k) => v + view.shift[k]), focal = 1.5 * Math.min(height, width * 0.9);
  return (p) => {
    const d = [p[0] - to[0], p[1] - to[1], p[2] - to[2]], depth = dot(d, forward) + view.away;
    return [width / 2 + (focal * dot(d, right)) / depth, height / 2 - (focal * dot(d, up)) / depth, depth, focal / depth];
  };
}

function drawScene() {
  const [pen, width, height] = ready($("scene"));
  const sample = current();
  if (view.follow && !view.shot) view.to = middle(sample) || view.to;
  else if (!view.follow) view.to = view.all;
  const see = lookOut(width, height);
  drawFloor(pen, see, view.follow ? view.to : view.all);
  if (view.path) for (const p of people) if (p.shown) drawPath(pen, see, p, sample);
  for (const p of people) if (p.shown && p.state[sample] !== GAP) drawShadow(pen, see, p, sample);
  const parts = [];
  for (const p of people) if (p.shown && p.state[sample] !== GAP) bodyParts(parts, see, p, sample);
  parts.sort((a, b) => b.depth - a.depth);
  for (const part of parts) if (part.depth > 0.05) part.draw(pen);
}
function drawFloor(pen, see, around) {
  const reach = 6, [x0, y0] = [Math.round(around[0]), Math.round(around[1])];
  for (let k = -2 * reach; k <= 2 * reach; k++)
    for (const across of [0, 1]) {
      const whole = k % 2 === 0;
      for (let m = -reach; m < reach; m++) {
        const ends = [m, m + 1].map((n) => see(across ? [x0 + n, y0 + k / 2, 0] : [x0 + k / 2, y0 + n, 0]));
        if (ends[0][2] < 0.1 || ends[1][2] < 0.1) continue;
        const far = Math.hypot(k / 2, m + 0.5) / reach;
        if (far >= 1) continue;
        pen.strokeStyle = `rgba(150,160,178,${((whole ? 0.42 : 0.16) * (1 - far)).toFixed(3)})`;
        pen.lineWidth = 1;
        line(pen, ends[0], ends[1]);
      }
    }
}
function drawPath(pen, see, person, sample) {
  pen.lineWidth = 1.5;
  const step = Math.max(1, Math.floor(data.count / 1500));
  for (const [from, to, alpha] of [[0, sample, 0.75], [sample, data.count - 1, 0.22]]) {
    pen.strokeStyle = person.color;
    pen.globalAlpha = alpha;
    pen.beginPath();
    let down = false;
    for (let s = from; s <= to; s += step) {
      const p = person.state[s] === GAP ? null : see([person.world[3 * s * J], person.world[3 * s * J + 1], 0.004]);
      if (!p || p[2] < 0.1) down = false;
      else if (down) pen.lineTo(p[0], p[1]);
      else (down = true), pen.moveTo(p[0], p[1]);
    }
    pen.stroke();
  }
  pen.globalAlpha = 1;
}
const place = (person, s, j) => [0, 1, 2].map((k) => person.world[3 * (s * J + j) + k]);

function drawShadow(pen, see, person, sample) {
  // One stroke: where limbs lie over each other the shadow is no darker.
  pen.strokeStyle = "rgba(0,0,0,.38)";
  pen.beginPath();
  for (const [a, b] of LIMBS) {
    const [p, q] = [a, b].map((j) => see([...place(person, sample, j).slice(0, 2), 0.002]));
    if (p[2] < 0.1 || q[2] < 0.1) continue;
    pen.lineWidth = Math.max(1.5, 0.1 * p[3]);
    pen.moveTo(p[0], p[1]);
    pen.lineTo(q[0], q[1]);
  }
  pen.stroke();
  HEELS_TOES.forEach((j, k) => {
    if (j < 0 || !((person.stands[sample] >> k) & 1)) return;
    const p = see([...place(person, sample, j).slice(0, 2), 0.003]);
    pen.fillStyle = "rgba(79,191,125,.55)";
    pen.beginPath();
    pen.ellipse(p[0], p[1], 0.055 * p[3], 0.03 * p[3], 0, 0, 2 * Math.PI);
    pen.fill();
  });
}
function thickness(name) {
  if (/hip|pelvis|spine|chest|neck/.test(name)) return 0.075;
  if (/knee|elbow|clavicle|shoulder/.test(name)) return 0.062;
  if (/ankle|wrist/.test(name)) return 0.05;
  return 0.032;
}
function bodyParts(parts, see, person, sample) {
  const faint = person.state[sample] === FILLED ? 0.45 : 1;
  const seen = NAMES.map((_, j) => see(place(person, sample, j)));
  const hands = SIDES.map((_, k) => handInScene(person, sample, k));
  hands.forEach((hand, k) => hand && handParts(parts, see, person, sample, k, hand, faint));
  for (const [a, b, side] of LIMBS) {
    if (knuckle(NAMES[b]) && hands[SIDES.indexOf(side)]) continue;
    const [p, q] = [seen[a], seen[b]], depth = (p[2] + q[2]) / 2;
    parts.push({
      depth,
      draw(pen) {
        const base = color(person, side), wide = Math.max(2, thickness(NAMES[b]) * q[3]);
        pen.globalAlpha = faint;
        edged(pen, p, q, base, mix(base, "#0b0d10", 0.14), wide, 2);
        pen.strokeStyle = mix(base, "#ffffff", 0.4);
        pen.lineWidth = wide * 0.3;
        pen.globalAlpha = 0.5 * faint;
        line(pen, [p[0] - wide * 0.12, p[1] - wide * 0.16], [q[0] - wide * 0.12, q[1] - wide * 0.16]);
        pen.globalAlpha = 1;
      },
    });
  }
  const corners = TRUNK.map((j) => seen[j]);
  if (TRUNK.every((j) => j >= 0) && corners.every((c) => c[2] > 0.1))
    parts.push({
      depth: corners.reduce((sum, c) => sum + c[2], 0) / 4 + 0.02,
      draw(pen) {
        pen.globalAlpha = 0.5 * faint;
        pen.fillStyle = mix(color(person, ""), "#0b0d10", 0.35);
        pen.beginPath();
        corners.forEach((c, i) => (i ? pen.lineTo(c[0], c[1]) : pen.moveTo(c[0], c[1])));
        pen.closePath();
        pen.fill();
        pen.globalAlpha = 1;
      },
    });
  if (EARS[0] < 0 || EARS[1] < 0) return;
  const [l, r] = EARS.map((j) => place(person, sample, j)), at = see(l.map((v, k) => (v + r[k]) / 2));
  const base = color(person, ""), size = 0.098 * at[3];
  parts.push({
    depth: at[2],
    draw(pen) {
      const shade = pen.createRadialGradient(at[0] - size / 3, at[1] - size / 3, size / 8, at[0], at[1], size);
      shade.addColorStop(0, mix(base, "#ffffff", 0.45));
      shade.addColorStop(1, mix(base, "#0b0d10", 0.45));
      pen.globalAlpha = faint;
      pen.fillStyle = shade;
      disc(pen, at, size);
      pen.globalAlpha = 1;
    },
  });
  if (NOSE >= 0) {
    const n = seen[NOSE];
    parts.push({
      depth: n[2] - 0.02,
      draw(pen) {
        pen.fillStyle = mix(base, "#0b0d10", 0.3);
        disc(pen, n, 0.024 * n[3]);
      },
    });
  }
}

function edged(pen, p, q, base, fill, wide, edge) {
  for (const [style, width] of [[mix(base, "#0b0d10", 0.55), wide + edge], [fill, wide]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    line(pen, p, q);
  }
}

function handParts(parts, see, person, sample, k, hand, faint) {
  // Relaxed fingers are no capture: they are faint.
  const alpha = faint * (0.4 + 0.006 * person.hands.weight[2 * sample + k]), base = color(person, SIDES[k]);
  const lines = handLines(place(person, sample, WRISTS[k]), hand).map(([a, b]) => [see(a), see(b)]);
  for (const [p, q] of lines)
    parts.push({
      depth: (p[2] + q[2]) / 2,
      draw(pen) {
        const wide = Math.max(1.2, 0.014 * q[3]);
        pen.globalAlpha = alpha;
        edged(pen, p, q, base, mix(base, "#ffffff", 0.12), wide, 1.2);
        pen.globalAlpha = 1;
      },
    });
}

// Timelines

const lanes = [];
function lane(title, unit, kind, paint, read) {
  const box = document.createElement("div"), label = document.createElement("div"), name = document.createElement("b");
  const value = document.createElement("output"), canvas = document.createElement("canvas");
  box.className = `lane ${kind}`;
  name.textContent = title;
  value.textContent = unit;
  label.append(name, value);
  box.append(label, canvas);
  $("lanes").append(box);
  lanes.push({ canvas, paint, read, value, unit, kept: null });
  const to = (event) => {
    const area = canvas.getBoundingClientRect();
    seek(((event.clientX - area.left) / area.width) * data.count);
  };
  canvas.onpointerdown = (event) => (canvas.setPointerCapture(event.pointerId), play(false), to(event));
  canvas.onpointermove = (event) => event.buttons && to(event);
}
const X = (sample, width) => ((sample + 0.5) / data.count) * width;

function marks(pen, width, height) {
  // Where nobody is seen: hatched, in every lane.
  const person = people[chosen];
  pen.fillStyle = "rgba(229,96,79,.16)";
  spells((s) => person.state[s] === GAP, (a, b) => pen.fillRect(X(a - 0.5, width), 0, X(b - 0.5, width) - X(a - 0.5, width), height));
}
function spells(test, each) {
  for (let s = 0, from = -1; s <= data.count; s++) {
    const on = s < data.count && test(s);
    if (on && from < 0) from = s;
    else if (!on && from >= 0) each(from, s), (from = -1);
  }
}
function graph(pen, width, height, values, most, stroke, fill) {
  const y = (v) => height - 3 - (Math.min(v, most) / most) * (height - 8);
  pen.beginPath();
  let start = null, last = null;
  const shut = () => {
    if (fill && start !== null) {
      pen.lineTo(last, height);
      pen.lineTo(start, height);
      pen.closePath();
      pen.fillStyle = fill;
      pen.fill();
      pen.beginPath();
    }
    start = null;
  };
  for (const pass of fill ? [0, 1] : [1]) {
    for (let s = 0; s < data.count; s++) {
      if (!isFinite(values[s])) {
        if (!pass) shut();
        start = null;
        continue;
      }
      last = X(s, width);
      if (start === null) (start = last), pen.moveTo(last, y(values[s]));
      else pen.lineTo(last, y(values[s]));
    }
    if (!pass) shut(), (start = null), pen.beginPath();
  }
  pen.strokeStyle = stroke;
  pen.lineWidth = 1.4;
  pen.stroke();
}
function rule(pen, width, height, share, text) {
  const y = height - 3 - share * (height - 8);
  pen.strokeStyle = "rgba(150,160,178,.18)";
  pen.lineWidth = 1;
  line(pen, [0, y], [width, y]);
  pen.fillStyle = "#6d7480";
  pen.font = "10px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.fillText(text, width - 4, y + 11);
  pen.textAlign = "left";
}
function niceStep(least) {
  return [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((s) => s >= least) || 7200;
}
function highest(values) {
  // Of nearly all frames: one jump does not flatten the rest.
  const sorted = Float32Array.from(values).filter(isFinite).sort();
  return sorted.length ? sorted[Math.floor(0.995 * (sorted.length - 1))] : 0;
}

lane("Time", "", "ruler", (pen, width, height) => {
  const whole = data.count * SECONDS, step = niceStep((whole * 70) / width), origin = seconds(0);
  pen.font = "10px system-ui, sans-serif";
  for (let t = Math.ceil(origin / step) * step; t < origin + whole; t += step) {
    const x = ((t - origin) / whole) * width;
    pen.strokeStyle = "#474d57";
    line(pen, [x, height - 6], [x, height]);
    pen.fillStyle = "#8b929e";
    pen.fillText(`${+t.toFixed(1)} s`, x + 4, height - 8);
  }
}, null);
lane("Confidence", "of the detector", "", (pen, width, height) => {
  rule(pen, width, height, 1, "100 %");
  rule(pen, width, height, 0.5, "50 %");
  const p = people[chosen], values = Float32Array.from(p.confidence, (v, s) => (p.state[s] === 1 ? v : NaN));
  graph(pen, width, height, values, 100, "#5b9dff", "rgba(91,157,255,.25)");
  pen.fillStyle = "rgba(230,168,64,.9)";
  spells((s) => p.state[s] === FILLED, (a, b) => pen.fillRect(X(a - 0.5, width), height - 3, Math.max(2, X(b, width) - X(a, width)), 3));
}, (p, s) => (p.state[s] === 1 ? `${p.confidence[s]} %` : p.state[s] === FILLED ? "filled in" : "not seen"));
function fingersSaid(hands, i) {
  if (!hands.weight[i]) return "relaxed";
  if (hands.weight[i] < 100) return "fading";
  return hands.score[i] ? `${hands.score[i]} %` : "bridged";
}
if (people.some((p) => p.hands))
  lane("Fingers", "seen, or relaxed", "", (pen, width, height) => {
    const hands = people[chosen].hands, row = height / 2;
    SIDES.forEach((side, k) => {
      const foot = (k + 1) * row - 2, tall = row - 5;
      pen.fillStyle = side === "l_" ? LEFT : RIGHT;
      for (let s = 0; hands && s < data.count; s++) {
        // Faint as far as the take follows the hand, strong up to the detector's confidence where it was seen.
        const [from, wide] = [X(s - 0.5, width), width / data.count + 0.3], i = 2 * s + k;
        pen.globalAlpha = 0.28;
        pen.fillRect(from, foot - (tall * hands.weight[i]) / 100, wide, (tall * hands.weight[i]) / 100);
        pen.globalAlpha = 0.7;
        if (hands.weight[i]) pen.fillRect(from, foot - (tall * hands.score[i]) / 100, wide, (tall * hands.score[i]) / 100);
      }
      pen.globalAlpha = 1;
      pen.fillStyle = "#ffffff";
      pen.font = "10px system-ui, sans-serif";
      [pen.shadowColor, pen.shadowBlur] = ["#000000", 4];
      pen.fillText(k ? "right" : "left", 5, k * row + row / 2 + 4);
      pen.shadowBlur = 0;
    });
  }, (p, s) => (p.hands ? `L ${fingersSaid(p.hands, 2 * s)}, R ${fingersSaid(p.hands, 2 * s + 1)}` : "not looked for"));
lane("Contacts", "heels and toes", "tall", (pen, width, height) => {
  const p = people[chosen], row = height / 4;
  FEET.forEach((name, k) => {
    pen.fillStyle = k < 2 ? LEFT : RIGHT;
    pen.globalAlpha = k % 2 ? 0.6 : 0.9;
    spells((s) => (p.stands[s] >> k) & 1, (a, b) => pen.fillRect(X(a - 0.5, width), k * row + 3, Math.max(1.5, X(b, width) - X(a, width)), row - 5));
    pen.globalAlpha = 1;
    pen.fillStyle = "rgba(255,255,255,.55)";
    pen.font = "10px system-ui, sans-serif";
    pen.fillText(name, 5, k * row + row / 2 + 4);
  });
}, (p, s) => FEET.filter((_, k) => (p.stands[s] >> k) & 1).join(", ") || "none stands");
lane("Speed", "hips, and faster hand", "tall", (pen, width, height) => {
  const p = people[chosen], step = niceStep(Math.max(0.25, highest(p.speed), 0.95 * highest(p.hand)));
  const most = Math.max(step, 0.5);
  rule(pen, width, height, 1, `${most} m/s`);
  rule(pen, width, height, 0.5, `${most / 2}`);
  graph(pen, width, height, p.hand, most, "rgba(230,168,64,.75)", null);
  graph(pen, width, height, p.speed, most, "#4fbf7d", "rgba(79,191,125,.22)");
}, (p, s) => (isFinite(p.speed[s]) ? `hips ${p.speed[s].toFixed(2)}, hand ${isFinite(p.hand[s]) ? p.hand[s].toFixed(2) : "–"} m/s` : "–"));
if (people.some((p) => p.outliers.some((v) => v) || p.swapped.some((v) => v)))
  lane("Repairs", "jumps, exchanged sides", "", (pen, width, height) => {
    const p = people[chosen];
    pen.fillStyle = "#e6a840";
    for (let s = 0; s < data.count; s++)
      if (p.outliers[s]) pen.fillRect(X(s, width) - 1, height - 4 - Math.min(1, p.outliers[s] / 8) * (height - 12), 2, height);
    pen.fillStyle = "#c77ddb";
    spells((s) => p.swapped[s], (a, b) => pen.fillRect(X(a - 0.5, width), 3, Math.max(2, X(b, width) - X(a, width)), 7));
  }, (p, s) => `${p.outliers[s]} joints${p.swapped[s] ? ", sides exchanged" : ""}`);

function drawLanes() {
  const s = current(), person = people[chosen];
  for (const each of lanes) {
    const [pen, width, height] = ready(each.canvas);
    const key = `${each.canvas.width} ${each.canvas.height} ${chosen}`;
    if (!each.kept || each.kept.key !== key) {
      // What does not change from frame to frame is painted once.
      marks(pen, width, height);
      each.paint(pen, width, height);
      const copy = document.createElement("canvas");
      copy.width = each.canvas.width;
      copy.height = each.canvas.height;
      if (copy.width && copy.height) copy.getContext("2d").drawImage(each.canvas, 0, 0);
      each.kept = { key, copy };
    } else if (each.kept.copy.width && each.kept.copy.height) {
      pen.drawImage(each.kept.copy, 0, 0, width, height);
    }
    pen.fillStyle = "#ffffff";
    pen.fillRect(X(s, width) - 0.75, 0, 1.5, height);
    if (each.read) each.value.textContent = each.read(person, s);
  }
}

// Everything

function draw() {
  drawFootage();
  drawScene();
  drawLanes();
  const s = current(), small = document.createElement("small");
  small.textContent = `frame ${data.first + s * data.step}`;
  $("clock").replaceChildren(`${seconds(s).toFixed(2)} s`, small);
}

function text(tag, words, kind) {
  const element = document.createElement(tag);
  element.textContent = words;
  if (kind) element.className = kind;
  return element;
}

function setUp() {
  const length = (data.count * SECONDS).toFixed(1);
  const seen = Array.from({ length: data.count }, (_, s) => people.some((p) => p.state[s] !== GAP)).filter(Boolean).length;
  const totals = [[`${length} s`, "long"], [people.length, people.length === 1 ? "person" : "people"],
    [`${Math.round((100 * seen) / data.count)} %`, "covered"]];
  for (const [value, what] of totals) {
    const span = document.createElement("span");
    span.append(text("b", String(value)), ` ${what}`);
    $("totals").append(span);
  }
  if (people.length > 1)
    people.forEach((person, i) => {
      const button = text("button", `Person ${i + 1}`);
      button.style.borderColor = person.color;
      button.title = "Timelines of this person; a double click hides or shows it";
      button.onclick = () => choose(i);
      button.ondblclick = () => ((person.shown = !person.shown), (button.style.opacity = person.shown ? 1 : 0.45), draw());
      $("people").append(button);
    });
  for (const each of data.warnings) {
    const item = text("li", each.text, each.level);
    if (each.frames) {
      const button = text("button", "Show");
      button.onclick = () => {
        play(false);
        if (each.person !== undefined) choose(each.person);
        seek((each.frames[0] - data.first) / data.step);
      };
      item.append(button);
    }
    $("warnings").append(item);
  }
  if (!data.warnings.some((w) => w.level === "warning")) $("warnings").prepend(text("li", "No warnings", "fine"));
  for (const [label, value] of data.facts) $("facts").append(text("dt", label), text("dd", value));
  if (data.footage) {
    $("lacking").textContent = data.footage;
    $("lacking").hidden = false;
  }
  home();
  choose(0);
}
function choose(i) {
  chosen = i;
  [...$("people").children].forEach((button, k) => button.setAttribute("aria-pressed", k === i));
  draw();
}

$("play").onclick = () => play(!playing);
$("back").onclick = () => (play(false), seek(current() - 1));
$("on").onclick = () => (play(false), seek(current() + 1));
$("rate").onchange = () => (rate = Number($("rate").value));
const toggle = (id, set) => {
  $(id).onclick = () => {
    const on = $(id).getAttribute("aria-pressed") !== "true";
    $(id).setAttribute("aria-pressed", on);
    set(on);
    draw();
  };
};
toggle("overlay", (on) => (overlay = on));
toggle("dim", (on) => (dim = on));
toggle("path", (on) => (view.path = on));
toggle("follow", (on) => (view.follow = on));
const VIEWS = { front: [0, 0.06], side: [Math.PI / 2, 0.06], top: [0, Math.PI / 2 - 0.001] };
for (const button of document.querySelectorAll("[data-view]"))
  button.onclick = () => {
    const to = VIEWS[button.dataset.view];
    view.shot = !to && !view.shot;
    if (to) [view.turn, view.lift] = to;
    view.shift = [0, 0, 0];
    document.querySelector("[data-view=shot]").setAttribute("aria-pressed", view.shot);
    draw();
  };
$("scene").onpointerdown = (event) => $("scene").setPointerCapture(event.pointerId);
$("scene").onpointermove = (event) => {
  if (!event.buttons) return;
  view.shot = false;
  document.querySelector("[data-view=shot]").setAttribute("aria-pressed", false);
  if (event.shiftKey || event.buttons & 6) {
    const step = view.away / 900, [c, s] = [Math.cos(view.turn), Math.sin(view.turn)];
    view.shift = [view.shift[0] - event.movementX * step * c, view.shift[1] - event.movementX * step * s, view.shift[2] + event.movementY * step];
  } else {
    view.turn -= event.movementX * 0.008;
    view.lift = Math.max(-0.2, Math.min(Math.PI / 2 - 0.001, view.lift + event.movementY * 0.008));
  }
  draw();
};
$("scene").onwheel = (event) => {
  event.preventDefault();
  view.away = Math.max(1, Math.min(40, view.away * Math.exp(event.deltaY * 0.0012)));
  draw();
};
$("scene").oncontextmenu = (event) => event.preventDefault();
document.onkeydown = (event) => {
  if (event.target.matches("select, input")) return;
  const keys = { " ": () => play(!playing), ArrowLeft: () => (play(false), seek(current() - 1)),
    ArrowRight: () => (play(false), seek(current() + 1)), Home: () => seek(0), End: () => seek(data.count - 1) };
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  keys[event.key]();
};
window.onresize = draw;
setUp();
const asked = /^#t=([\d.]+)$/.exec(location.hash);
if (asked) seek(Math.round((Number(asked[1]) * data.fps - data.first) / data.step));
document.body.dataset.ready = "yes";
