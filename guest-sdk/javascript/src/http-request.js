/** The request of `callHttp`, as the contract has it. What is wrong with it is said where it is called, as far as it can be seen there. */

import { kindOf, optionalBoolean, requireLength, requireText, wellFormed } from "./border.js";
import { DurableError } from "./failure.js";
import { toJson } from "./json.js";

export function hostRequest(options) {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`The options of callHttp must be an object, not ${kindOf(options)}.`);
  }
  const { method, url, body, headers, tokenSource, enablePolling, asynchronousPatternEnabled, timeoutMs } = options;
  if (tokenSource) {
    throw new DurableError("callHttp with a tokenSource: there are no managed identities here; send the header Authorization with a secret of the hub", {
      type: "Unsupported",
      retriable: false,
    });
  }
  return {
    method: requireText(method, "The method of callHttp"),
    uri: webAddress(url),
    headers: headerTexts(headers),
    content: body === undefined || typeof body === "string" ? body && wellFormed(body) : toJson(body, "the body of callHttp"),
    asynchronousPatternEnabled:
      optionalBoolean(enablePolling, "enablePolling") ?? optionalBoolean(asynchronousPatternEnabled, "asynchronousPatternEnabled") ?? true,
    timeoutMs: wholeMilliseconds(timeoutMs),
  };
}

const LOOKED_AT_CHARS_MAX = 8_192;

/** An absolute address of the web, of a text or a `URL`. What the host cannot read of the rest makes the task fail. */
function webAddress(url) {
  const isObject = typeof url === "object" && url !== null;
  const text = requireText(isObject ? String(url) : url, "The url of callHttp");
  // Beyond that a look at it here would take longer than the request. The host has its own.
  if (text.length > LOOKED_AT_CHARS_MAX) {
    return text;
  }
  // Which letters a name may have is for the host to say: here it is enough that they are letters.
  const ascii = text.replace(/[^\0-\x7f]|%[89a-f][0-9a-f]/gi, "x");
  const parsed = URL.canParse(ascii) ? new URL(ascii) : null;
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
    throw new TypeError(`The url of callHttp must be an absolute http or https URL, and is '${text}'.`);
  }
  return text;
}

/** Headers as `fetch` takes them: what is no text becomes one. */
function headerTexts(headers) {
  if (headers === undefined || headers === null) {
    return undefined;
  }
  if (typeof headers !== "object") {
    throw new TypeError(`The headers of callHttp must be an object, not ${kindOf(headers)}.`);
  }
  const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
  const given = pairs.filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given.map(([name, value]) => [wellFormed(String(name)), headerText(value)]));
}

function headerText(value) {
  return wellFormed(Array.isArray(value) ? value.join(", ") : String(value));
}

/** `Infinity` is no limit. */
function wholeMilliseconds(value) {
  if (value === undefined || value === null || value === Infinity) {
    return undefined;
  }
  const length = requireLength(value, "The timeoutMs of callHttp");
  if (!Number.isSafeInteger(length)) {
    throw new RangeError(`The timeoutMs of callHttp must be a whole number of milliseconds, and is ${length}.`);
  }
  return length;
}
