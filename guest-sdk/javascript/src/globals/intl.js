/**
 * The part of `Intl` that libraries for dates and numbers need. The locale is `en-US`: there are no tables of others. The time zone is UTC unless
 * one is named; a component whose code never names `timeZone` knows no others, and another is an error rather than a wrong time.
 */

import { compareTexts, withoutSymbols } from "./collation.js";
import { namesOfZones, stateOf, zoneNamed } from "./time-zones.js";

const LOCALE = "en-US";

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const supportedLocalesOf = (locales = []) => [locales].flat().filter((locale) => String(locale).startsWith("en"));

const MINUTE = 60_000;

class DateTimeFormat {
  #options;
  #zone;

  constructor(_locales, options = {}) {
    this.#zone = zoneOf(options.timeZone ?? "UTC");
    this.#options = withDefaults({ ...options, timeZone: this.#zone.name });
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    const { hour, hour12, hourCycle = hour12 === false ? "h23" : "h12" } = this.#options;
    return { locale: LOCALE, calendar: "gregory", numberingSystem: "latn", ...this.#options, ...(hour && { hourCycle, hour12: hourCycle === "h12" || hourCycle === "h11" }) };
  }

  format = (date) => this.formatToParts(date).map(({ value }) => value).join("");

  formatToParts(date = new Date()) {
    const time = Number(date);
    if (Number.isNaN(time)) {
      throw new RangeError("Invalid time value");
    }
    const state = this.#zone.at(time);
    const local = new Date(time + state.offset * MINUTE);
    const parts = [...datePart(this.#options, local), ...timePart(this.#options, local, { ...state, zone: this.#zone.name })];
    return parts.slice(1);
  }

  formatRange(from, to) {
    const [first, last] = [this.format(from), this.format(to)];
    return first === last ? first : `${first} \u2013 ${last}`;
  }
}

/** A time zone by its name, or by its offset. */
function zoneOf(given) {
  const name = String(given);
  if (/^(?:(?:etc\/)?(?:utc|gmt|uct|zulu|greenwich)(?:[+-]?0)?|[+-]00:?00)$/i.test(name)) {
    return { name: "UTC", at: () => ({ offset: 0, abbreviation: "UTC" }) };
  }
  const [, sign, hours, minutes = "0"] = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/.exec(name) ?? [];
  if (sign) {
    const offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? -1 : 1);
    return { name: `${sign}${hours}:${minutes.padStart(2, "0")}`, at: () => ({ offset, abbreviation: "" }) };
  }
  const zone = zoneNamed(name);
  if (!zone) {
    const hint = namesOfZones().length === 0 ? ". Only UTC is known here: the code of the app names no timeZone" : "";
    throw new RangeError(`Invalid time zone specified: ${name}${hint}`);
  }
  return { name: zone.name, at: (time) => stateOf(zone, time) };
}

/** Names of zones that English of America writes as letters, in America only. */
const LETTERS = /^(?:A[KS]?|[CEHMP])[SD]T$/;
const REGIONS = { A: "Atlantic", AK: "Alaska", C: "Central", E: "Eastern", H: "Hawaii-Aleutian", M: "Mountain", P: "Pacific" };
const LONG_NAMES = {
  AEDT: "Australian Eastern Daylight Time",
  AEST: "Australian Eastern Standard Time",
  AWST: "Australian Western Standard Time",
  BST: "British Summer Time",
  CEST: "Central European Summer Time",
  CET: "Central European Standard Time",
  EEST: "Eastern European Summer Time",
  EET: "Eastern European Standard Time",
  GMT: "Greenwich Mean Time",
  HKT: "Hong Kong Standard Time",
  JST: "Japan Standard Time",
  KST: "Korean Standard Time",
  MSK: "Moscow Standard Time",
  NZDT: "New Zealand Daylight Time",
  NZST: "New Zealand Standard Time",
  SAST: "South Africa Standard Time",
  UTC: "Coordinated Universal Time",
  WEST: "Western European Summer Time",
  WET: "Western European Standard Time",
};

function nameOfZone(style, { offset, abbreviation, zone }) {
  const isAmerican = LETTERS.test(abbreviation) && /^(?:America|US|Canada|Pacific\/Honolulu)/.test(zone) && zone !== "America/Havana";
  const region = isAmerican && REGIONS[abbreviation.slice(0, -2)];
  switch (style) {
    case "short":
      return isAmerican || abbreviation === "UTC" ? abbreviation : offsetText(offset, false);
    case "long":
      if (isAmerican) {
        return `${region} ${abbreviation.at(-2) === "D" ? "Daylight" : "Standard"} Time`;
      }
      return zone === "Asia/Kolkata" ? "India Standard Time" : (LONG_NAMES[abbreviation] ?? offsetText(offset, true));
    case "shortGeneric":
      return isAmerican ? `${abbreviation.slice(0, -2)}T` : offsetText(offset, false);
    case "longGeneric":
      return isAmerican ? `${region} Time` : offsetText(offset, true);
    default:
      return offsetText(offset, style === "longOffset");
  }
}

/** `GMT+5:30`, or `GMT+05:30`. */
function offsetText(offset, isLong) {
  if (offset === 0) {
    return "GMT";
  }
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const ofHour = minutes || isLong ? `:${String(minutes).padStart(2, "0")}` : "";
  return `GMT${offset < 0 ? "-" : "+"}${String(hours).padStart(isLong ? 2 : 1, "0")}${ofHour}`;
}

/** The default fields of a date, which give `11/21/2026`. */
function withDefaults(options) {
  const fields = ["weekday", "era", "year", "month", "day", "hour", "minute", "second", "fractionalSecondDigits", "timeZoneName"];
  const { dateStyle, timeStyle } = options;
  const month = dateStyle && { full: "long", long: "long", medium: "short", short: "numeric" }[dateStyle];
  const styled = {
    ...(dateStyle && { year: dateStyle === "short" ? "2-digit" : "numeric", month, day: "numeric", ...(dateStyle === "full" && { weekday: "long" }) }),
    ...(timeStyle && {
      hour: "numeric",
      minute: "2-digit",
      ...(timeStyle !== "short" && { second: "2-digit" }),
      ...((timeStyle === "full" || timeStyle === "long") && { timeZoneName: timeStyle === "full" ? "long" : "short" }),
    }),
  };
  const isBare = !dateStyle && !timeStyle && fields.every((field) => options[field] === undefined);
  return { ...options, ...styled, ...(isBare && { year: "numeric", month: "numeric", day: "numeric" }) };
}

function* datePart({ weekday, year, month, day, era }, date) {
  const named = month && month !== "numeric" && month !== "2-digit";
  if (weekday) {
    yield* field(", ", "weekday", shaped(DAYS[date.getUTCDay()], weekday));
  }
  if (month) {
    const number = sized(date.getUTCMonth() + 1, month);
    yield* field(", ", "month", named ? shaped(MONTHS[date.getUTCMonth()], month) : number);
  }
  if (day) {
    yield* field(named ? " " : month ? "/" : ", ", "day", sized(date.getUTCDate(), day));
  }
  if (year) {
    const full = date.getUTCFullYear();
    yield* field(named ? (day ? ", " : " ") : month || day ? "/" : ", ", "year", year === "2-digit" ? sized(full % 100, year) : String(full));
  }
  if (era) {
    yield* field(" ", "era", date.getUTCFullYear() > 0 ? "AD" : "BC");
  }
}

function* timePart({ hour, minute, second, fractionalSecondDigits, hour12, hourCycle, timeZoneName, dateStyle }, date, zone) {
  const isTwelve = hour12 ?? (hourCycle ? hourCycle === "h11" || hourCycle === "h12" : true);
  const hours = date.getUTCHours();
  if (hour) {
    yield* field(dateStyle === "full" || dateStyle === "long" ? " at " : ", ", "hour", sized(isTwelve ? hours % 12 || 12 : hours, isTwelve ? hour : "2-digit"));
  }
  if (minute) {
    yield* field(hour ? ":" : ", ", "minute", sized(date.getUTCMinutes(), hour || second ? "2-digit" : minute));
  }
  if (second) {
    yield* field(minute ? ":" : ", ", "second", sized(date.getUTCSeconds(), minute ? "2-digit" : second));
  }
  if (fractionalSecondDigits) {
    yield* field(".", "fractionalSecond", String(date.getUTCMilliseconds()).padStart(3, "0").slice(0, fractionalSecondDigits));
  }
  if (hour && isTwelve) {
    yield* field(" ", "dayPeriod", hours < 12 ? "AM" : "PM");
  }
  if (timeZoneName) {
    yield* field(hour || minute || second ? " " : ", ", "timeZoneName", nameOfZone(timeZoneName, zone));
  }
}

function* field(before, type, value) {
  yield { type: "literal", value: before };
  yield { type, value };
}

function shaped(name, style) {
  return { long: name, short: name.slice(0, 3), narrow: name.slice(0, 1) }[style];
}

function sized(number, style) {
  return String(number).padStart(style === "2-digit" ? 2 : 1, "0");
}

class NumberFormat {
  #options;

  constructor(_locales, options = {}) {
    const isPercent = options.style === "percent";
    const { minimumFractionDigits = options.style === "currency" ? 2 : 0 } = options;
    this.#options = {
      style: "decimal",
      minimumIntegerDigits: 1,
      minimumFractionDigits,
      maximumFractionDigits: Math.max(minimumFractionDigits, isPercent ? 0 : 3),
      useGrouping: true,
      ...options,
    };
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    return { locale: LOCALE, numberingSystem: "latn", ...this.#options };
  }

  format = (number) => {
    const { style, currency, minimumIntegerDigits, minimumFractionDigits, maximumFractionDigits, useGrouping } = this.#options;
    const value = Number(number) * (style === "percent" ? 100 : 1);
    if (!Number.isFinite(value)) {
      return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
    }
    const [whole, fraction = ""] = Math.abs(value).toFixed(maximumFractionDigits).split(".");
    const padded = whole.padStart(minimumIntegerDigits, "0");
    const grouped = useGrouping ? padded.replace(/\B(?=(\d{3})+$)/g, ",") : padded;
    const kept = fraction.replace(/0+$/, "").padEnd(minimumFractionDigits, "0");
    const sign = value < 0 || Object.is(value, -0) ? "-" : "";
    const unit = style === "currency" ? (currency === "USD" ? "$" : `${currency} `) : "";
    return `${sign}${unit}${grouped}${kept && `.${kept}`}${style === "percent" ? "%" : ""}`;
  };

  formatToParts(number) {
    return [{ type: "literal", value: this.format(number) }];
  }
}

class PluralRules {
  #type;

  constructor(_locales, { type = "cardinal" } = {}) {
    this.#type = type;
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    return { locale: LOCALE, type: this.#type };
  }

  select(number) {
    if (this.#type === "cardinal") {
      return number === 1 ? "one" : "other";
    }
    const isTeen = [11, 12, 13].includes(number % 100);
    return (!isTeen && { 1: "one", 2: "two", 3: "few" }[number % 10]) || "other";
  }
}

class Collator {
  #options;

  constructor(_locales, { usage = "sort", numeric = false, sensitivity = "variant", caseFirst = "false", ignorePunctuation = false } = {}) {
    this.#options = { usage, numeric, sensitivity, caseFirst, ignorePunctuation };
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    return { locale: LOCALE, collation: "default", ...this.#options };
  }

  compare = (a, b) => {
    const texts = [a, b].map((text) => (this.#options.ignorePunctuation ? withoutSymbols(String(text)) : String(text)));
    return compareTexts(...texts, this.#options);
  };
}

class ListFormat {
  #type;

  constructor(_locales, { type = "conjunction" } = {}) {
    this.#type = type;
  }

  static supportedLocalesOf = supportedLocalesOf;

  format(list) {
    const items = [...list];
    const word = { conjunction: "and ", disjunction: "or ", unit: "" }[this.#type];
    if (items.length < 2) {
      return items.join("");
    }
    return items.length === 2 && word ? `${items[0]} ${word}${items[1]}` : `${items.slice(0, -1).join(", ")}, ${word}${items.at(-1)}`;
  }
}

class RelativeTimeFormat {
  #numeric;

  constructor(_locales, { numeric = "always" } = {}) {
    this.#numeric = numeric;
  }

  static supportedLocalesOf = supportedLocalesOf;

  format(value, unit) {
    const one = String(unit).replace(/s$/, "");
    const word = this.#numeric === "auto" && WORDS[one]?.[value];
    if (word) {
      return word;
    }
    const count = new NumberFormat().format(Math.abs(value));
    const units = `${count} ${one}${Math.abs(value) === 1 ? "" : "s"}`;
    return value < 0 || Object.is(value, -0) ? `${units} ago` : `in ${units}`;
  }
}

const WORDS = {
  day: { "-1": "yesterday", 0: "today", 1: "tomorrow" },
  second: { 0: "now" },
  ...Object.fromEntries(["hour", "minute"].map((unit) => [unit, { 0: `this ${unit}` }])),
  ...Object.fromEntries(["week", "month", "quarter", "year"].map((unit) => [unit, { "-1": `last ${unit}`, 0: `this ${unit}`, 1: `next ${unit}` }])),
};

export const Intl = {
  DateTimeFormat,
  NumberFormat,
  PluralRules,
  Collator,
  ListFormat,
  RelativeTimeFormat,
  getCanonicalLocales: (locales) => [locales ?? []].flat().map(String),
  supportedValuesOf: (key) => (key === "timeZone" ? [...namesOfZones(), "UTC"] : []),
};

const DATE = { year: "numeric", month: "numeric", day: "numeric" };
const TIME = { hour: "numeric", minute: "2-digit", second: "2-digit" };
const STYLES = ["dateStyle", "timeStyle"];

/** Each method shows the date, the time or both, as its name says, unless the options ask for fields of that kind. */
function withFields(defaults, options = {}, kinds = [...Object.keys(defaults), "weekday", ...STYLES]) {
  return kinds.some((field) => options[field] !== undefined) ? options : { ...defaults, ...options };
}

export const dateMethods = {
  toLocaleString(locales, options) {
    return new DateTimeFormat(locales, withFields({ ...DATE, ...TIME }, options)).format(this);
  },
  toLocaleDateString(locales, options) {
    return new DateTimeFormat(locales, withFields(DATE, options)).format(this);
  },
  toLocaleTimeString(locales, options) {
    return new DateTimeFormat(locales, withFields(TIME, options, [...Object.keys(TIME), ...STYLES])).format(this);
  },
};

export const numberMethods = {
  toLocaleString(locales, options) {
    return new NumberFormat(locales, options).format(this);
  },
};

export const stringMethods = {
  localeCompare(other, _locales, options) {
    return compareTexts(String(this), String(other), options);
  },
};
