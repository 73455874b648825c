/** `tty`: nothing here is a terminal. */

export * as default from "./tty.js";
export const isatty = () => false;
export class ReadStream {}
export class WriteStream {}
