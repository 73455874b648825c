/** Converts the options of `callHttp` to a request of the contract. Invalid options throw, as far as they can be checked here. */

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

/** An absolute URL, from a text or a `URL`. If it passes but the host cannot parse it, the task fails. */
function webAddress(url) {
  const isObject = typeof url === "object" && url !== null;
  const text = requireText(isObject ? String(url) : url, "The url of callHttp");
  // Parsing a longer text here would take longer than the request. The host checks it anyway.
  if (text.length > LOOKED_AT_CHARS_MAX) {
    return text;
  }
  // The host checks which letters a host name may have; here all are accepted.
  const ascii = text.replace(/[^\0-\x7f]|%[89a-f][0-9a-f]/gi, "x");
  const parsed = URL.canParse(ascii) ? new URL(ascii) : null;
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
    throw new TypeError(`The url of callHttp must be an absolute http or https URL, and is '${text}'.`);
  }
  return text;
}

/** Headers in the forms that `fetch` accepts. Values are converted to texts. */
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

/** `Infinity` means no limit. */
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
