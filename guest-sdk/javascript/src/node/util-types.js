/** `util/types`: the kind of a value, as far as code without the engine's help can see it. */

export * as default from "./util-types.js";

/** Whether a value has the internal slots of a class, which a method that reads them tells. */
const hasSlots = (read) => (value) => {
  try {
    read.call(value);
    return true;
  } catch {
    return false;
  }
};
const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);
const isObject = (value) => typeof value === "object" && value !== null;
const getter = (constructor, name) => Object.getOwnPropertyDescriptor(constructor.prototype, name).get;
const boxed = (constructor) => (value) => isObject(value) && hasSlots(constructor.prototype.valueOf)(value);
const array = (name) => (value) => ArrayBuffer.isView(value) && kindOfArray.call(value) === name;
const kindOfArray = getter(Object.getPrototypeOf(Uint8Array), Symbol.toStringTag);

export const isDate = hasSlots(Date.prototype.getTime);
export const isRegExp = (value) => isObject(value) && value instanceof RegExp;
export const isMap = hasSlots(getter(Map, "size"));
export const isSet = hasSlots(getter(Set, "size"));
export const isWeakMap = (value) => value instanceof WeakMap;
export const isWeakSet = (value) => value instanceof WeakSet;
export const isMapIterator = (value) => isObject(value) && tag(value) === "Map Iterator";
export const isSetIterator = (value) => isObject(value) && tag(value) === "Set Iterator";
export const isNativeError = (value) => value instanceof Error;
export const isPromise = (value) => value instanceof Promise;
export const isProxy = () => false;
export const isExternal = () => false;
export const isModuleNamespaceObject = (value) => isObject(value) && tag(value) === "Module";
export const isArgumentsObject = (value) => isObject(value) && tag(value) === "Arguments";
/** The build makes ordinary functions of `async` functions. */
export const isAsyncFunction = () => false;
export const isGeneratorFunction = (value) => typeof value === "function" && /GeneratorFunction$/.test(tag(value));
export const isGeneratorObject = (value) => isObject(value) && tag(value) === "Generator";
export const isArrayBuffer = hasSlots(getter(ArrayBuffer, "byteLength"));
export const isSharedArrayBuffer = (value) => typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer;
export const isAnyArrayBuffer = (value) => isArrayBuffer(value) || isSharedArrayBuffer(value);
export const isArrayBufferView = (value) => ArrayBuffer.isView(value);
export const isDataView = (value) => ArrayBuffer.isView(value) && !isTypedArray(value);
export const isTypedArray = (value) => ArrayBuffer.isView(value) && kindOfArray.call(value) !== undefined;
export const isUint8Array = array("Uint8Array");
export const isUint8ClampedArray = array("Uint8ClampedArray");
export const isUint16Array = array("Uint16Array");
export const isUint32Array = array("Uint32Array");
export const isInt8Array = array("Int8Array");
export const isInt16Array = array("Int16Array");
export const isInt32Array = array("Int32Array");
export const isFloat32Array = array("Float32Array");
export const isFloat64Array = array("Float64Array");
export const isBigInt64Array = array("BigInt64Array");
export const isBigUint64Array = array("BigUint64Array");
export const isNumberObject = boxed(Number);
export const isStringObject = boxed(String);
export const isBooleanObject = boxed(Boolean);
export const isBigIntObject = boxed(BigInt);
export const isSymbolObject = boxed(Symbol);
export const isBoxedPrimitive = (value) => [isNumberObject, isStringObject, isBooleanObject, isBigIntObject, isSymbolObject].some((is) => is(value));
export const isKeyObject = (value) => isObject(value) && value[Symbol.toStringTag] === "KeyObject";
export const isCryptoKey = (value) => isObject(value) && value[Symbol.toStringTag] === "CryptoKey";
