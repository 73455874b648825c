/** How functions are named in calls: by their name, or by what defined them. */

export function nameOf(definition) {
  return typeof definition === "string" ? definition : definition?.name;
}

export function requireName(name, what) {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`The name of ${what} must be a string that is not empty.`);
  }
}
