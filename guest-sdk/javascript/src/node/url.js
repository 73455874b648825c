/** `url`: the classes of the web, and the older functions. */

import * as legacy from "unenv/node/url";

export const { Url, domainToASCII, domainToUnicode, fileURLToPath, format, parse, pathToFileURL, resolve, resolveObject, urlToHttpOptions } = legacy;
export const { URL, URLSearchParams } = globalThis;
export default { Url, domainToASCII, domainToUnicode, fileURLToPath, format, parse, pathToFileURL, resolve, resolveObject, urlToHttpOptions, URL, URLSearchParams };
