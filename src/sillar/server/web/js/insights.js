// What was asked and how it went: figures, charts, knowledge gaps, tickets and exports.

import { blob, get, post } from "./api.js";
import { latency, volume } from "./charts.js";
import { complain } from "./complain.js";
import { h, latest } from "./dom.js";
import { language, number, seconds, t } from "./text.js";

export function insights(main) {
  const body = h("div", {});
  const period = h("select", { id: "period", "aria-label": t("period"), onchange: load },
    [7, 30, 90].map((days) => h("option", { value: days, selected: days === 30 }, t("days", { n: days }))));
  main.append(h("div", { class: "head" }, h("h1", {}, t("insightsTitle")), period), body);

  const asking = latest();
  async function load() {
    const current = asking();
    try {
      const [data, tickets] = await Promise.all([get(`/v1/insights?days=${period.value}`), get("/v1/tickets")]);
      if (!current()) return;
      body.replaceChildren(tiles(data), ...(data.questions ? charts(data) : [h("p", { class: "card soft" }, t("nothingYet"))]),
        h("section", { class: "card" }, h("h2", {}, t("gaps")), h("p", { class: "soft small" }, t("gapsHint")), gaps(data.gaps)),
        h("section", { class: "card" }, h("div", { class: "row apart" }, h("h2", {}, t("tickets")), download("/v1/tickets.csv", "tickets.csv", t("exportTickets"))), ticketList(tickets.data, load)),
        h("section", { class: "card" }, h("div", { class: "row apart" }, h("h2", {}, t("votes")),
          h("div", { class: "row" }, download("/v1/feedback.json", "feedback.json", t("exportVotes")),
            download(`/v1/evaluation.json?language=${language()}`, `evaluation-${language()}.json`, t("exportEval")))), h("p", { class: "soft small" }, t("exportEvalHint"))));
    } catch (error) {
      complain(error);
    }
  }
  load();
}

function tiles(data) {
  const tile = (value, name) => h("div", { class: "tile card" }, h("strong", {}, value), h("span", {}, name));
  const share = data.questions ? Math.round((100 * data.answered) / data.questions) : 0;
  return h("div", { class: "tiles" },
    tile(number(data.questions), t("asked")),
    tile(data.questions ? `${share} %` : "–", t("answered")),
    tile(number(data.abstained), t("abstained")),
    tile(data.questions ? seconds(data.median_seconds) : "–", t("latency")),
    tile(`${number(data.votes_up)} / ${number(data.votes_down)}`, t("upDown")));
}

function charts(data) {
  const legend = (first, second) => h("p", { class: "legend small" }, h("span", {}, t(first)), h("span", { class: "other" }, t(second)));
  const counts = data.days.filter((day) => day.answered + day.abstained).map((day) => `${day.day}: ${day.answered} ${t("answered")}, ${day.abstained} ${t("abstained")}`);
  const times = data.days.filter((day) => day.answered + day.abstained).map((day) => `${day.day}: ${number(day.median_seconds, 2)} s, ${number(day.slow_seconds, 2)} s`);
  return [
    h("section", { class: "card" }, h("h2", {}, t("perDay")), volume(data.days, counts.join("; ")), legend("answered", "abstained")),
    h("section", { class: "card" }, h("h2", {}, t("perDaySeconds")), latency(data.days, times.join("; ")), legend("median", "slowest")),
  ];
}

function gaps(rows) {
  if (!rows.length) return h("p", { class: "soft" }, t("noGaps"));
  return h("ol", { class: "gaps" }, rows.map((gap) => h("li", {},
    h("strong", {}, gap.question), " ", gap.count > 1 ? h("span", { class: "badge warn" }, t("times", { n: number(gap.count) })) : null,
    gap.wordings.length ? h("div", { class: "small" }, gap.wordings.join(" · ")) : null,
    gap.documents.length ? h("div", { class: "soft small" }, `${t("closest")}: ${gap.documents.join(", ")}`) : null)));
}

function ticketList(rows, reload) {
  if (!rows.length) return h("p", { class: "soft" }, t("noTickets"));
  const again = async (ticket) => { await post(`/v1/tickets/${ticket.id}/retry`, {}); setTimeout(reload, 500); };
  return h("ul", { class: "gaps" }, rows.slice(0, 20).map((ticket) => h("li", {},
    h("div", { class: "row" }, h("strong", {}, `#${ticket.id}`), ticket.question,
      ticket.delivery ? h("span", { class: `badge ${{ delivered: "good", failed: "bad" }[ticket.delivery.state] ?? "warn"}` }, t(`delivery_${ticket.delivery.state}`)) : null,
      ticket.delivery?.state === "failed" ? h("button", { class: "plain", type: "button", onclick: () => again(ticket) }, t("again")) : null),
    h("div", { class: "soft small" }, [ticket.contact, ticket.note, ticket.delivery?.error].filter(Boolean).join(" · ")))));
}

function download(path, name, label) {
  return h("button", { type: "button", onclick: async () => {
    const address = URL.createObjectURL(await blob(path));
    h("a", { href: address, download: name }).click();
    URL.revokeObjectURL(address);
  } }, label);
}
