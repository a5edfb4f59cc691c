// What pages do beyond being read: keys, times, copying, and a log that stays short. Everything works without it.
"use strict";

const MOST_RECORDS = 2000;
const body = document.body;

// Times: relative, local or UTC, as the button says.

const language = document.documentElement.lang;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const local = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const KINDS = ["relative", "local", "utc"];

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return body.dataset.now;
  if (size < 90) return relative.format(Math.round(seconds), "second");
  if (size < 5400) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 129600) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86400), "day");
}

function kept() {
  const kind = localStorage.getItem("pyfc-times");
  return KINDS.includes(kind) ? kind : "relative";
}

function showTimes(root) {
  const kind = kept();
  for (const each of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(each.dateTime);
    if (isNaN(moment)) continue;
    const utc = each.dateTime.replace("T", " ").replace("Z", " UTC");
    each.title = kind === "utc" ? local.format(moment) : utc;
    each.textContent = kind === "utc" ? utc : kind === "local" ? local.format(moment) : ago(moment);
  }
}

for (const button of document.querySelectorAll("[data-times]")) {
  button.hidden = false;
  button.textContent = button.dataset[kept()];
  button.addEventListener("click", () => {
    localStorage.setItem("pyfc-times", KINDS[(KINDS.indexOf(kept()) + 1) % KINDS.length]);
    button.textContent = button.dataset[kept()];
    showTimes(document);
  });
}

// Copying.

function wake(root) {
  showTimes(root);
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(from.textContent);
  const text = button.textContent;
  button.textContent = body.dataset.copied;
  setTimeout(() => { button.textContent = text; }, 1200);
});

// Forms that are sent when something is chosen.

for (const form of document.querySelectorAll("[data-submits]")) {
  for (const button of form.querySelectorAll("[data-no-script]")) button.hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
}
for (const field of document.querySelectorAll("[data-submits-field]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// Keys.

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, textarea, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = document.querySelector("form[data-call]");
    if (form && form.querySelector("button.main")) {
      event.preventDefault();
      form.requestSubmit();
    }
  } else if (event.key === "Escape") {
    const back = document.querySelector("[data-back]");
    if (field) field.blur();
    else if (back) back.click();
  } else if (event.key === "/" && !field && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});

// A log that is followed keeps its newest records, and stays at its end if that is where one looks.

for (const log of document.querySelectorAll("[data-records]")) {
  log.scrollTop = log.scrollHeight;
  let atEnd = true;
  log.addEventListener("scroll", () => { atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; });
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) showTimes(node);
    }
    while (log.children.length > MOST_RECORDS) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }).observe(log, { childList: true });
}

// What htmx has put in.

new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) wake(node.parentElement || node);
  }
}).observe(document.getElementById("main"), { childList: true, subtree: true });

wake(document);
setInterval(() => { if (!document.hidden && kept() === "relative") showTimes(document); }, 10000);
