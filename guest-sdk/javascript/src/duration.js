const UNITS = { milliseconds: 1, seconds: 1000, minutes: 60_000, hours: 3_600_000, days: 86_400_000 };

/** Converts a number of milliseconds, or `{ days, hours, minutes, seconds, milliseconds }`, to milliseconds. */
export function milliseconds(duration, what = "A duration") {
  const sum =
    typeof duration === "number"
      ? duration
      : Object.entries(duration ?? { nothing: 0 }).reduce((total, [unit, count]) => total + count * UNITS[unit], 0);
  if (!Number.isFinite(sum)) {
    throw new TypeError(`${what} is a number of milliseconds, or has days, hours, minutes, seconds, milliseconds.`);
  }
  return sum;
}
