import { standIns } from "./stand-ins.js";

export async function resolve(specifier, context, next) {
  return specifier in standIns ? { url: standIns[specifier], shortCircuit: true } : next(specifier, context);
}
