/** The error of a failed import, `undefined` if it has none. One engine throws it as it is, the other inside of an error. */
export function hostError(thrown) {
  return typeof thrown === "object" && thrown !== null && "payload" in thrown ? thrown.payload : thrown;
}
