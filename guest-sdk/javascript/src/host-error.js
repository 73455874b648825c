/** The error of a failed import. One engine throws it as it is, the other inside of an error. */
export function hostError(thrown) {
  return thrown?.payload ?? thrown;
}
