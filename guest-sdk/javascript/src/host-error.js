/** The error value of a failed import; `undefined` if it has none. One engine throws the value, the other an error around it. */
export function hostError(thrown) {
  return typeof thrown === "object" && thrown !== null && "payload" in thrown ? thrown.payload : thrown;
}
