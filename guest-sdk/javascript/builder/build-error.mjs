/** What the user can do something about: its message is all that is shown. */
export class BuildError extends Error {}
