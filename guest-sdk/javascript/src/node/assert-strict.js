import { strict } from "./assert.js";

export * from "./assert.js";
export { deepStrictEqual as deepEqual, notDeepStrictEqual as notDeepEqual, notStrictEqual as notEqual, strictEqual as equal } from "./assert.js";
export default strict;
