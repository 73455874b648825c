/**
 * The part of `Intl` that libraries for dates and numbers need. The locale is `en-US`, the time zone is UTC. There are no
 * tables of other locales and zones, so another time zone is an error rather than a wrong time.
 */

const LOCALE = "en-US";

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const supportedLocalesOf = (locales = []) => [locales].flat().filter((locale) => String(locale).startsWith("en"));

class DateTimeFormat {
  #options;

  constructor(_locales, options = {}) {
    const timeZone = options.timeZone ?? "UTC";
    if (!/^(?:(?:etc\/)?(?:utc|gmt|uct|zulu|greenwich)(?:[+-]?0)?|[+-]00:?00)$/i.test(timeZone)) {
      throw new RangeError(`Invalid time zone specified: ${timeZone}. Only UTC is known here.`);
    }
    this.#options = withDefaults({ ...options, timeZone: "UTC" });
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    return { locale: LOCALE, calendar: "gregory", numberingSystem: "latn", ...this.#options };
  }

  format = (date = new Date()) => this.formatToParts(date).map(({ value }) => value).join("");

  formatToParts(date = new Date()) {
    return [...datePart(this.#options, new Date(date)), ...timePart(this.#options, new Date(date))].slice(1);
  }
}

/** The default fields of a date, which give `11/21/2026`. */
function withDefaults(options) {
  const fields = ["weekday", "era", "year", "month", "day", "hour", "minute", "second", "fractionalSecondDigits", "timeZoneName"];
  const { dateStyle, timeStyle } = options;
  const month = dateStyle && { full: "long", long: "long", medium: "short", short: "numeric" }[dateStyle];
  const styled = {
    ...(dateStyle && { year: "numeric", month, day: "numeric", ...(dateStyle === "full" && { weekday: "long" }) }),
    ...(timeStyle && { hour: "numeric", minute: "2-digit", ...(timeStyle !== "short" && { second: "2-digit" }) }),
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

function* timePart({ hour, minute, second, fractionalSecondDigits, hour12, hourCycle, timeZoneName }, date) {
  const isTwelve = hour12 ?? (hourCycle ? hourCycle === "h11" || hourCycle === "h12" : true);
  const hours = date.getUTCHours();
  if (hour) {
    yield* field(", ", "hour", sized(isTwelve ? hours % 12 || 12 : hours, isTwelve ? hour : "2-digit"));
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
    yield* field(" ", "timeZoneName", timeZoneName === "long" ? "Coordinated Universal Time" : "UTC");
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
  #isNumeric;
  #isLoose;

  constructor(_locales, { numeric = false, sensitivity = "variant" } = {}) {
    this.#isNumeric = numeric;
    this.#isLoose = sensitivity === "base" || sensitivity === "accent";
  }

  static supportedLocalesOf = supportedLocalesOf;

  resolvedOptions() {
    return { locale: LOCALE, usage: "sort", numeric: this.#isNumeric };
  }

  compare = (a, b) => {
    const [left, right] = [a, b].map((text) => (this.#isLoose ? String(text).toLowerCase() : String(text)));
    if (this.#isNumeric && left.trim() !== "" && right.trim() !== "" && !Number.isNaN(left - right)) {
      return Math.sign(left - right);
    }
    return left.localeCompare(right);
  };
}

export const Intl = {
  DateTimeFormat,
  NumberFormat,
  PluralRules,
  Collator,
  getCanonicalLocales: (locales) => [locales ?? []].flat().map(String),
  supportedValuesOf: (key) => (key === "timeZone" ? ["UTC"] : []),
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
