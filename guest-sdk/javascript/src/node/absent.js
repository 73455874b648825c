/**
 * Modules of Node.js that cannot work in a sandbox: they can be imported, taken apart and extended; whatever of them is called fails. A package may
 * make an object while it is loaded, which it uses later if at all, so then that succeeds.
 */

import { ABSENT } from "../load.js";
import { currentScope } from "../scope.js";

/**
 * @param sentence the reason
 * @param keys the names that the module has, which `import * as net` copies
 * @param constants its plain values
 * @param part what of it works, or null
 */
export function absentModule(sentence, keys, constants, part) {
  const fail = () => {
    throw Object.assign(new Error(sentence), { name: ABSENT, code: "ERR_NOT_SUPPORTED", retriable: false });
  };
  const target = function () {};
  const absent = new Proxy(target, {
    get(_, key) {
      if (typeof key === "symbol" || key === "__esModule" || key === "then" || key === "default") {
        return undefined;
      }
      return key === "prototype" ? target.prototype : absent;
    },
    apply: fail,
    construct: () => (currentScope() === null ? absent : fail()),
  });
  const module = Object.fromEntries(keys.map((key) => [key, absent]));
  return new Proxy(Object.assign(function () {}, module, constants, part), {
    get: (target, key) => (Object.hasOwn(target, key) || typeof key === "symbol" || key === "__esModule" || key === "then" || key === "default" ? target[key] : absent),
    apply: fail,
    construct: fail,
  });
}
