/** References to functions in calls: a name, or the result of its definition. */

export function nameOf(definition) {
  return typeof definition === "string" ? definition : definition?.name;
}
