/** `URL` and `URLSearchParams`, after the URL standard, without internationalised host names. */

const DEFAULT_PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443", "ftp:": "21", "file:": "" };

/** The characters that each part keeps; all others are percent-encoded. */
const KEEP = {
  path: /[^\x00-\x20"#<>?`{}\x7f-\uffff]/,
  query: /[^\x00-\x20"#<>'\x7f-\uffff]/,
  hash: /[^\x00-\x20"<>`\x7f-\uffff]/,
  userinfo: /[^\x00-\x20"#<>?`{}/:;=@[\\\]^|\x7f-\uffff]/,
  opaque: /[^\x00-\x1f\x7f-\uffff]/,
  form: /[A-Za-z0-9*\-._ ]/,
};

function percentEncode(text, keep) {
  if (consistsOf(text, keep)) {
    return text;
  }
  let encoded = "";
  for (const character of text) {
    if (keep.test(character)) {
      encoded += character;
    } else {
      for (const byte of new TextEncoder().encode(character)) {
        encoded += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
      }
    }
  }
  return encoded;
}

/** Whether a text has only such characters. Most have, and this is quicker than to look at each by itself. */
function consistsOf(text, keep) {
  let whole = wholes.get(keep);
  if (!whole) {
    whole = new RegExp(`^${keep.source}*$`);
    wholes.set(keep, whole);
  }
  return whole.test(text);
}

const wholes = new Map();

function percentDecode(text) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const decoded = text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => decoder.decode(Uint8Array.from(run.slice(1).split("%"), (hex) => Number.parseInt(hex, 16))));
  return decoded.toWellFormed();
}

export class URLSearchParams {
  #pairs = [];
  #onChange = () => {};

  constructor(init = "", onChange) {
    if (onChange) {
      this.#onChange = onChange;
    }
    if (typeof init === "object" && init !== null) {
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      this.#pairs = Array.from(pairs, ([name, value]) => [String(name), String(value)]);
    } else {
      this.#pairs = parseQuery(String(init).replace(/^\?/, ""));
    }
  }

  get size() {
    return this.#pairs.length;
  }

  append(name, value) {
    this.#pairs.push([String(name), String(value)]);
    this.#onChange();
  }

  delete(name, value) {
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== name || (value !== undefined && pair[1] !== String(value)));
    this.#onChange();
  }

  get(name) {
    return this.#pairs.find((pair) => pair[0] === name)?.[1] ?? null;
  }

  getAll(name) {
    return this.#pairs.filter((pair) => pair[0] === name).map(([, value]) => value);
  }

  has(name, value) {
    return this.#pairs.some((pair) => pair[0] === name && (value === undefined || pair[1] === String(value)));
  }

  set(name, value) {
    const first = this.#pairs.find((pair) => pair[0] === name);
    if (first) {
      first[1] = String(value);
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== name);
    } else {
      this.#pairs.push([String(name), String(value)]);
    }
    this.#onChange();
  }

  sort() {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    this.#onChange();
  }

  forEach(callback) {
    this.#pairs.forEach(([name, value]) => callback(value, name, this));
  }

  *entries() {
    yield* this.#pairs.map((pair) => [...pair]);
  }

  *keys() {
    yield* this.#pairs.map(([name]) => name);
  }

  *values() {
    yield* this.#pairs.map(([, value]) => value);
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  toString() {
    return this.#pairs.map((pair) => pair.map(formEncode).join("=")).join("&");
  }
}

function parseQuery(query) {
  const decode = (text) => percentDecode(text.replaceAll("+", " "));
  return query
    .split("&")
    .filter(Boolean)
    .map((part) => {
      const [name, ...value] = part.split("=");
      return [decode(name), decode(value.join("="))];
    });
}

function formEncode(text) {
  return percentEncode(text, KEEP.form).replaceAll(" ", "+");
}

export class URL {
  #parts;
  #searchParams;

  constructor(url, base) {
    const text = String(url).trim().replace(/[\t\n\r]/g, "");
    this.#parts = parse(text) ?? (base === undefined ? null : resolve(text, new URL(base).#parts));
    if (!this.#parts) {
      throw new TypeError(`Invalid URL: '${url}'${base === undefined ? "" : ` with the base '${base}'`}`);
    }
  }

  static canParse(url, base) {
    return URL.parse(url, base) !== null;
  }

  static parse(url, base) {
    try {
      return new URL(url, base);
    } catch {
      return null;
    }
  }

  get href() {
    const { protocol, username, password, hostname, pathname, search, hash } = this.#parts;
    const secret = password && `:${password}`;
    const userinfo = username || password ? `${username}${secret}@` : "";
    const authority = hostname === null ? "" : `//${userinfo}${this.host}`;
    return `${protocol}${authority}${pathname}${search}${hash}`;
  }

  set href(url) {
    this.#parts = new URL(url).#parts;
    this.#searchParams = undefined;
  }

  get origin() {
    const { protocol } = this.#parts;
    return protocol in DEFAULT_PORTS && protocol !== "file:" ? `${protocol}//${this.host}` : "null";
  }

  get protocol() {
    return this.#parts.protocol;
  }

  set protocol(protocol) {
    const wanted = `${String(protocol).replace(/:.*$/, "").toLowerCase()}:`;
    if (wanted in DEFAULT_PORTS === this.#parts.protocol in DEFAULT_PORTS) {
      this.#parts.protocol = wanted;
      this.port = this.port;
    }
  }

  get username() {
    return this.#parts.username;
  }

  set username(username) {
    this.#parts.username = percentEncode(String(username), KEEP.userinfo);
  }

  get password() {
    return this.#parts.password;
  }

  set password(password) {
    this.#parts.password = percentEncode(String(password), KEEP.userinfo);
  }

  get host() {
    const { hostname, port } = this.#parts;
    return `${hostname ?? ""}${port && `:${port}`}`;
  }

  set host(host) {
    const parsed = parse(`${this.protocol}//${host}`);
    if (parsed) {
      this.#parts.hostname = parsed.hostname;
      this.#parts.port = parsed.port || this.#parts.port;
    }
  }

  get hostname() {
    return this.#parts.hostname ?? "";
  }

  set hostname(hostname) {
    const parsed = parse(`${this.protocol}//${hostname}`);
    if (parsed) {
      this.#parts.hostname = parsed.hostname;
    }
  }

  get port() {
    return this.#parts.port;
  }

  set port(port) {
    const text = String(port);
    if (/^\d*$/.test(text) && Number(text) < 65_536) {
      this.#parts.port = text === DEFAULT_PORTS[this.protocol] ? "" : text && String(Number(text));
    }
  }

  get pathname() {
    return this.#parts.pathname;
  }

  set pathname(pathname) {
    const text = String(pathname);
    this.#parts.pathname = normalizePath(text.startsWith("/") ? text : `/${text}`, this.protocol);
  }

  get search() {
    return this.#parts.search;
  }

  set search(search) {
    this.#parts.search = encodeSearch(String(search).replace(/^\?/, ""));
    this.#searchParams = undefined;
  }

  get searchParams() {
    this.#searchParams ??= new URLSearchParams(this.#parts.search, () => {
      const query = this.#searchParams.toString();
      this.#parts.search = query && `?${query}`;
    });
    return this.#searchParams;
  }

  get hash() {
    return this.#parts.hash;
  }

  set hash(hash) {
    this.#parts.hash = encodeHash(String(hash).replace(/^#/, ""));
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }
}

/** The parts of an absolute URL, or null if the text is not one. */
function parse(text) {
  const match = /^([a-z][a-z0-9+.-]*:)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/is.exec(text);
  if (!match) {
    return null;
  }
  const protocol = match[1].toLowerCase();
  const isSpecial = protocol in DEFAULT_PORTS;
  const rest = isSpecial ? match[2].replaceAll("\\", "/") : match[2];
  const tail = { search: encodeSearch(match[3] ?? ""), hash: encodeHash(match[4] ?? "") };
  const hasAuthority = isSpecial || rest.startsWith("//");
  if (!hasAuthority) {
    const pathname = rest.startsWith("/") ? normalizePath(rest, protocol) : percentEncode(rest, KEEP.opaque);
    return { protocol, username: "", password: "", hostname: null, port: "", pathname, ...tail };
  }
  const [, authority, path] = /^\/{0,2}([^/]*)(.*)$/s.exec(protocol === "file:" ? rest : rest.replace(/^\/{3,}/, "//"));
  const parsed = parseAuthority(authority, protocol);
  return parsed && { protocol, ...parsed, pathname: normalizePath(path || (isSpecial ? "/" : ""), protocol), ...tail };
}

function parseAuthority(authority, protocol) {
  const at = authority.lastIndexOf("@");
  const [username, ...password] = at < 0 ? [""] : authority.slice(0, at).split(":");
  const match = /^(\[[0-9a-f:.]+\]|[^:]*)(?::(\d*))?$/i.exec(authority.slice(at + 1));
  if (!match || Number(match[2] ?? 0) > 65_535) {
    return null;
  }
  const hostname = parseHost(match[1], protocol);
  if (hostname === null || (hostname === "" && protocol in DEFAULT_PORTS && protocol !== "file:")) {
    return null;
  }
  const port = match[2] ? String(Number(match[2])) : "";
  return {
    username: percentEncode(username, KEEP.userinfo),
    password: percentEncode(password.join(":"), KEEP.userinfo),
    hostname,
    port: port === DEFAULT_PORTS[protocol] ? "" : port,
  };
}

function parseHost(host, protocol) {
  if (host.startsWith("[")) {
    return isIpv6(host.slice(1, -1)) ? host.toLowerCase() : null;
  }
  if (!(protocol in DEFAULT_PORTS)) {
    return /[\s#/<>?@\\^|]/.test(host) ? null : host;
  }
  const name = percentDecode(host).toLowerCase();
  return /[^\x21-\x7e]|[#%/:<>?@[\\\]^|]/.test(name) || isNoIpv4(name) ? null : name;
}

function isIpv6(text) {
  const [head, tail, ...more] = text.split("::");
  const groups = [head, tail].filter(Boolean).flatMap((part) => part.split(":"));
  const ipv4 = groups.at(-1)?.includes(".") ? groups.pop() : undefined;
  const areValid = more.length === 0 && groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group));
  const isValidIpv4 = ipv4 === undefined || (/^\d+(\.\d+){3}$/.test(ipv4) && ipv4.split(".").every((part) => Number(part) < 256));
  const count = groups.length + (ipv4 === undefined ? 0 : 2);
  return areValid && isValidIpv4 && (tail === undefined ? count === 8 : count < 8);
}

/** Whether a host ends in a number, like an IPv4 address, but is not one. */
function isNoIpv4(name) {
  const parts = name.replace(/\.$/, "").split(".");
  if (!/^(\d+|0x[0-9a-f]*)$/.test(parts.at(-1))) {
    return false;
  }
  const numbers = parts.map((part) => (/^(0x[0-9a-f]*|0[0-7]*|[1-9]\d*)$/.test(part) ? Number(part.replace(/^0x$/, "0").replace(/^0(?=[0-7])/, "0o")) : Number.NaN));
  const last = numbers.pop();
  return numbers.length > 3 || !numbers.every((number) => number < 256) || !(last < 256 ** (4 - numbers.length));
}

function normalizePath(path, protocol) {
  const isSpecial = protocol in DEFAULT_PORTS;
  const segments = [];
  const parts = (isSpecial ? path.replaceAll("\\", "/") : path).split("/").slice(1);
  parts.forEach((part, index) => {
    const isLast = index === parts.length - 1;
    if (/^(\.|%2e){2}$/i.test(part)) {
      segments.pop();
      if (isLast) {
        segments.push("");
      }
    } else if (/^(\.|%2e)$/i.test(part)) {
      if (isLast) {
        segments.push("");
      }
    } else {
      segments.push(percentEncode(part, KEEP.path));
    }
  });
  return path === "" ? "" : `/${segments.join("/")}`;
}

function encodeSearch(query) {
  return query && `?${percentEncode(query, KEEP.query)}`;
}

function encodeHash(hash) {
  return hash && `#${percentEncode(hash, KEEP.hash)}`;
}

/** The parts of a URL that is relative to another one. */
function resolve(text, base) {
  if (base.hostname === null && !base.pathname.startsWith("/")) {
    return null;
  }
  const isSpecial = base.protocol in DEFAULT_PORTS;
  const reference = isSpecial ? text.replace(/^[^?#]*/, (path) => path.replaceAll("\\", "/")) : text;
  if (reference.startsWith("//")) {
    return parse(base.protocol + reference);
  }
  const [, path, query, hash] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(reference);
  const parts = { ...base, hash: encodeHash(hash ?? "") };
  if (path !== "") {
    const folder = base.pathname.slice(0, base.pathname.lastIndexOf("/") + 1) || "/";
    parts.pathname = normalizePath(path.startsWith("/") ? path : folder + path, base.protocol);
  }
  if (path !== "" || query !== undefined) {
    parts.search = encodeSearch(query ?? "");
  }
  return parts;
}
