/**
 * The time zones of the world in a short text, for `src/globals/time-zones.js`. The changes of a zone are listed as long as they follow no rule.
 *
 * A line for each zone: `name other-names|offsets|abbreviations|changes|rules`. Offsets are minutes to the east of Greenwich; a change is `minutes
 * since the change before, index of the offset from then on`; a rule, which holds after the last change, is `month.day.weekday.minute.index`: the
 * first such weekday from that day on, in the local time before the change.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";

const FIRST_YEAR = 1970;
/** The years whose changes show whether a zone follows rules: in 28 years, each day of a year falls on each weekday. */
const RULE_YEARS = [2028, 2055];

const MINUTE = 60_000;
/** In minutes. */
const YEAR = 366 * 1440;
const minutesOfYear = (year) => Date.UTC(year, 0, 1) / MINUTE;

/** @param folder has the package `moment-timezone`, whose data is packed */
export async function timeZones(folder) {
  const { zones, links } = JSON.parse(await readFile(join(folder, "node_modules/moment-timezone/data/packed/latest.json"), "utf8"));
  const others = Map.groupBy ? Map.groupBy(links, (link) => link.split("|")[0]) : grouped(links);
  return zones.map((packed) => lineOf(packed, (name) => (others.get(name) ?? []).map((link) => link.split("|")[1]))).join("\n");
}

function grouped(links) {
  const groups = new Map();
  for (const link of links) {
    const [name] = link.split("|");
    groups.set(name, [...(groups.get(name) ?? []), link]);
  }
  return groups;
}

function lineOf(packed, othersOf) {
  const [name, abbreviations, offsets, indexes, differences] = packed.split("|");
  const zone = {
    abbreviations: abbreviations.split(" "),
    // West of Greenwich is positive in the data.
    offsets: offsets.split(" ").map((offset) => -Math.round(decode(offset)) || 0),
    changes: changesOf(indexes, differences),
  };
  const { changes, rules } = shortened(zone);
  const used = [...new Set([changes.first, ...changes.list.map(({ index }) => index), ...rules.map(({ index }) => index)])];
  const place = (index) => used.indexOf(index);
  let last = 0;
  const listed = changes.list.map(({ minute, index }) => {
    const difference = minute - last;
    last = minute;
    return `${difference.toString(36)},${place(index)}`;
  });
  const ruled = rules.map(({ month, day, weekday, minute, index }) => [month, day, weekday, minute, place(index)].join("."));
  return [[name, ...othersOf(name)].join(" "), used.map((index) => zone.offsets[index]), used.map((index) => zone.abbreviations[index]), listed.join(";"), ruled.join(";")].join("|");
}

/** A number in base 60, with a fraction. */
function decode(text) {
  const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX";
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  const value = Array.from(whole).reduce((sum, digit) => sum * 60 + digits.indexOf(digit), 0) + Array.from(fraction).reduce((sum, digit, place) => sum + digits.indexOf(digit) / 60 ** (place + 1), 0);
  return text.startsWith("-") ? -value : value;
}

function changesOf(indexes, differences = "") {
  let minute = 0;
  const list = differences.split(" ").filter(Boolean).map((difference, place) => {
    minute += decode(difference);
    return { minute: Math.round(minute), index: Number.parseInt(indexes[place + 1], 36) };
  });
  return { first: Number.parseInt(indexes[0] || "0", 36), list };
}

function shortened({ offsets, changes }) {
  const before = changes.list.filter(({ minute }) => minute < minutesOfYear(FIRST_YEAR)).at(-1);
  const first = before ? before.index : changes.first;
  const list = changes.list.filter(({ minute }) => minute >= minutesOfYear(FIRST_YEAR));
  const described = list.map((change, place) => ({ ...change, ...describe(change, offsets[place === 0 ? first : list[place - 1].index]) }));
  const rules = rulesOf(described.filter(({ year }) => year >= RULE_YEARS[0] && year <= RULE_YEARS[1]));
  if (rules.length === 0) {
    return { changes: { first, list }, rules };
  }
  // The rules hold from where on all changes follow them, and none is left out.
  const holds = (change, place) => rules.some((rule) => follows(change, rule)) && !(described[place + 1]?.minute - change.minute > YEAR);
  const lastFree = described.findLastIndex((change, place) => !holds(change, place));
  // The first change that follows a rule is the last of the list.
  return { changes: { first, list: list.slice(0, lastFree + 2) }, rules };
}

/** The day counts from the beginning of the month, so that a last weekday may fall into the next one. */
function describe({ minute }, offset) {
  const local = new Date((minute + offset) * MINUTE);
  return { year: local.getUTCFullYear(), month: local.getUTCMonth(), day: local.getUTCDate(), weekday: local.getUTCDay(), local: local.getUTCHours() * 60 + local.getUTCMinutes() };
}

const daysFrom = ({ month }, change) => change.day + (change.month === month ? 0 : new Date(Date.UTC(change.year, month + 1, 0)).getUTCDate());

function follows(change, rule) {
  const day = daysFrom(rule, change);
  return (change.month - rule.month + 12) % 12 <= 1 && day >= rule.day && day < rule.day + 7 && rule.weekday === change.weekday && rule.minute === change.local && rule.index === change.index;
}

/** Two rules if the changes of all years are alike; none otherwise. */
function rulesOf(changes) {
  if (changes.length !== 2 * (RULE_YEARS[1] - RULE_YEARS[0] + 1)) {
    return [];
  }
  const rules = [0, 1].map((start) => {
    const own = changes.filter((_, place) => place % 2 === start);
    const month = Math.min(...own.map((change) => change.month));
    const [{ weekday, local, index }] = own;
    const rule = { month, day: Math.min(...own.map((change) => daysFrom({ month }, change))), weekday, minute: local, index };
    return own.every((change) => follows(change, rule)) ? rule : null;
  });
  return rules.includes(null) ? [] : rules;
}
