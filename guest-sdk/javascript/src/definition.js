/** How functions are named in calls: by their name, or by what defined them. */

export function nameOf(definition) {
  return typeof definition === "string" ? definition : definition?.name;
}
