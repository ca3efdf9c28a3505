// Charts as SVG, drawn from the figures; each is also told in words to those who cannot see it.

import { svg } from "./dom.js";
import { number } from "./text.js";

const [HEIGHT, LEFT, TOP, BASE] = [190, 34, 10, 164];

/** As wide as it will be shown, so that its letters stay as large as they are. */
const wide = () => Math.max(260, Math.min(640, document.getElementById("main").clientWidth - 60));

/** A round number at or above `value`, for the top of an axis. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

function frame(label, top, days, digits) {
  const picture = svg("svg", { viewBox: `0 0 ${wide()} ${HEIGHT}`, class: "chart", role: "img", "aria-label": label });
  for (const share of [0, 0.5, 1]) {
    const y = BASE - share * (BASE - TOP);
    picture.append(svg("line", { class: "grid", x1: LEFT, x2: wide(), y1: y, y2: y }),
      svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, number(top * share, Math.max(digits, Number.isInteger(top * share) ? 0 : 1))));
  }
  const marks = [0, Math.floor((days.length - 1) / 2), days.length - 1];
  for (const [i, at] of [...new Set(marks)].entries()) {
    const anchor = i === 0 ? "start" : at === days.length - 1 ? "end" : "middle";
    picture.append(svg("text", { x: centre(at, days.length) + (anchor === "end" ? step(days.length) / 2 : 0), y: HEIGHT - 8, "text-anchor": anchor }, shortDay(days[at].day)));
  }
  return picture;
}

const step = (count) => (wide() - LEFT) / Math.max(1, count);
const centre = (i, count) => LEFT + (i + 0.5) * step(count);
const shortDay = (day) => new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(`${day}T00:00Z`));

/** Bars of answered and, on top, unanswered questions a day. */
export function volume(days, label) {
  const most = Math.max(2, ...days.map((day) => day.answered + day.abstained));
  const top = most <= 4 ? most + (most % 2) : ceiling(most);
  const picture = frame(label, top, days, 0);
  const width = Math.min(26, Math.max(1, step(days.length) - 4));
  days.forEach((day, i) => {
    const [answered, abstained] = [day.answered, day.abstained].map((n) => (n / top) * (BASE - TOP));
    const box = { x: centre(i, days.length) - width / 2, width };
    picture.append(svg("rect", { ...box, y: BASE - answered, height: answered, class: "answered" }, svg("title", {}, `${day.day}: ${day.answered}`)),
      svg("rect", { ...box, y: BASE - answered - abstained, height: abstained, class: "abstained" }, svg("title", {}, `${day.day}: ${day.abstained}`)));
  });
  return picture;
}

/** Lines of the median and the 95th percentile of seconds; days without questions have no point. */
export function latency(days, label) {
  const asked = days.map((day, i) => ({ ...day, x: centre(i, days.length) })).filter((day) => day.answered + day.abstained);
  const top = ceiling(Math.max(0.1, ...asked.map((day) => day.slow_seconds)));
  const picture = frame(label, top, days, top < 5 ? 2 : 0);
  const y = (seconds) => BASE - (seconds / top) * (BASE - TOP);
  for (const [field, kind] of [["slow_seconds", "line slow"], ["median_seconds", "line"]]) {
    picture.append(svg("polyline", { class: kind, points: asked.map((day) => `${day.x},${y(day[field])}`).join(" ") }));
  }
  for (const day of asked) {
    picture.append(svg("circle", { cx: day.x, cy: y(day.median_seconds), r: 3.5 }, svg("title", {}, `${day.day}: ${number(day.median_seconds, 2)} s`)));
  }
  return picture;
}
