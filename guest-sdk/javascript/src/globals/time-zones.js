/** The time zones of the world, as `builder/time-zones.mjs` writes them. They are part of a component only if its code names `timeZone`. */

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

const zones = new Map();

const text = () => globalThis.__dacapo?.timeZones ?? "";

/** All names of zones. */
export const namesOfZones = () => text().split("\n").flatMap((line) => line.split("|", 1)[0].split(" ")).filter(Boolean).sort();

/** Finds a zone by its name, in which case does not matter; null if there is none. */
export function zoneNamed(name) {
  const key = String(name).toLowerCase();
  if (!/^[a-z0-9+_/-]+$/.test(key)) {
    return null;
  }
  if (!zones.has(key)) {
    const [line] = new RegExp(`^(?:[^|\\n]* )?${key.replaceAll("+", "\\+")}(?: [^|\\n]*)?\\|.*$`, "im").exec(text()) ?? [];
    zones.set(key, line ? parse(line, key) : null);
  }
  return zones.get(key);
}

function parse(line, key) {
  const [names, offsets, abbreviations, changes, rules] = line.split("|");
  let minute = 0;
  return {
    name: names.split(" ").find((name) => name.toLowerCase() === key),
    offsets: offsets.split(",").map(Number),
    abbreviations: abbreviations.split(","),
    changes: changes.split(";").filter(Boolean).map((change) => {
      const [difference, index] = change.split(",");
      minute += Number.parseInt(difference, 36);
      return { time: minute * MINUTE, index: Number(index) };
    }),
    rules: rules.split(";").filter(Boolean).map((rule) => {
      const [month, day, weekday, minute, index] = rule.split(".").map(Number);
      return { month, day, weekday, minute, index };
    }),
  };
}

/** What is in force in a zone at a moment: the offset in minutes, and its abbreviation. */
export function stateOf(zone, time) {
  const index = indexAt(zone, time);
  return { offset: zone.offsets[index], abbreviation: zone.abbreviations[index] };
}

function indexAt({ changes, rules, offsets }, time) {
  const last = changes.at(-1);
  if (rules.length > 0 && time >= last.time) {
    return indexByRules(rules, offsets, last, time);
  }
  let [low, high] = [0, changes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (changes[middle].time <= time) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low === 0 ? 0 : changes[low - 1].index;
}

/** The rules are in the order of the year, and each changes what the other has set. */
function indexByRules(rules, offsets, last, time) {
  const year = new Date(time).getUTCFullYear();
  let { index } = last;
  for (const [place, rule] of [year - 1, year].flatMap((one) => rules.map((rule) => [one, rule]))) {
    const before = rules.find((other) => other !== rule).index;
    const moment = momentOf(place, rule) - offsets[before] * MINUTE;
    if (moment <= time && moment > last.time) {
      index = rule.index;
    }
  }
  return index;
}

/** The first such weekday from a day on. */
function momentOf(year, { month, day, weekday, minute }) {
  const first = Date.UTC(year, month, day);
  return first + ((weekday - new Date(first).getUTCDay() + 7) % 7) * DAY + minute * MINUTE;
}
