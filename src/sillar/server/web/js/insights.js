// What was asked and how it went: tiles, questions a day, knowledge gaps, exports.

import { blob, get } from "./api.js";
import { h, svg } from "./dom.js";
import { complain } from "./complain.js";
import { number, t } from "./text.js";

export function insights(main) {
  main.append(h("h1", {}, t("insightsTitle")));
  get("/v1/insights").then((data) => main.append(
    tiles(data),
    h("section", { class: "card" }, h("h2", {}, t("perDay")), chart(data.days), legend()),
    h("section", { class: "card" }, h("h2", {}, t("gaps")), gaps(data.gaps)),
    h("div", { class: "row" },
      download("/v1/tickets.csv", "tickets.csv", t("exportTickets")),
      download("/v1/feedback.json", "feedback.json", t("exportEval"))),
  ), complain);
}

function tiles(data) {
  const tile = (value, name) => h("div", { class: "tile card" }, h("strong", {}, value), name);
  return h("div", { class: "tiles" },
    tile(number(data.questions), t("asked")),
    tile(number(data.answered), t("answered")),
    tile(number(data.abstained), t("abstained")),
    tile(t("seconds", { n: number(data.median_seconds, 1) }), t("latency")),
    tile(number(data.votes_up), t("up")),
    tile(number(data.votes_down), t("down")));
}

function legend() {
  return h("p", { class: "legend small" }, h("span", { class: "answered" }, t("answered")), " ", h("span", { class: "abstained" }, t("abstained")));
}

function chart(days) {
  const [width, height, base] = [640, 180, 160];
  const most = Math.max(1, ...days.map((day) => day.answered + day.abstained));
  const step = width / Math.max(1, days.length);
  const label = days.map((day) => `${day.day}: ${day.answered + day.abstained}`).join(", ");
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": label });
  days.forEach((day, i) => {
    const answered = (day.answered / most) * (base - 10);
    const abstained = (day.abstained / most) * (base - 10);
    const box = { x: i * step + 1, width: Math.max(1, step - 3) };
    picture.append(svg("rect", { ...box, y: base - answered, height: answered, class: "answered" }));
    picture.append(svg("rect", { ...box, y: base - answered - abstained, height: abstained, class: "abstained" }));
  });
  if (days.length) {
    picture.append(svg("text", { x: 0, y: height - 4 }, days[0].day), svg("text", { x: width, y: height - 4, "text-anchor": "end" }, days.at(-1).day));
  }
  return picture;
}

function gaps(rows) {
  if (!rows.length) return h("p", { class: "soft" }, t("noGaps"));
  return h("ol", {}, rows.map((gap) => h("li", {},
    h("strong", {}, gap.question), ` (${number(gap.count)} ${t("times")})`,
    gap.documents.length ? h("div", { class: "soft small" }, `${t("closest")}: ${gap.documents.join(", ")}`) : null)));
}

function download(path, name, label) {
  return h("button", { type: "button", onclick: async () => {
    const address = URL.createObjectURL(await blob(path));
    h("a", { href: address, download: name }).click();
    URL.revokeObjectURL(address);
  } }, label);
}
