/** In place of the package `undici`, whose own client needs sockets: its functions over the host's HTTP. */

import { Readable } from "node:stream";

export const { FormData, Headers, Request, Response, fetch } = globalThis;

/** The host makes the connections, so a dispatcher is only there to be asked. */
export class Dispatcher {
  constructor(...options) {
    this.options = options;
  }

  async request(options, init) {
    return request(options.origin ? new URL(options.path, options.origin) : options, init ?? options);
  }

  compose() {
    return this;
  }

  async close() {}
  async destroy() {}
}

export class Agent extends Dispatcher {}
export class Pool extends Dispatcher {
  request({ path, ...options }) {
    return request(new URL(path, this.options[0]), options);
  }
}
export class Client extends Pool {}

/** Nothing would go through the proxy. */
export class ProxyAgent extends Dispatcher {
  constructor() {
    super();
    throw new Error("undici: a request cannot go through a proxy here: the host sends it.");
  }
}

let dispatcher = new Agent();
export const getGlobalDispatcher = () => dispatcher;
export const setGlobalDispatcher = (given) => void (dispatcher = given);

export async function request(url, { method = "GET", headers, body, query, signal } = {}) {
  const address = new URL(url);
  Object.entries(query ?? {}).forEach(([name, value]) => [value].flat().forEach((one) => address.searchParams.append(name, one)));
  const response = await fetch(address, { method, headers: pairsOf(headers), body, signal, redirect: "manual" });
  const stream = Readable.from(response.body ?? []);
  for (const name of ["arrayBuffer", "blob", "bytes", "json", "text"]) {
    stream[name] = () => response[name]();
  }
  stream.dump = async () => {};
  return { statusCode: response.status, headers: headersOf(response.headers), trailers: {}, opaque: null, body: stream, context: {} };
}

const pairsOf = (headers) => (Array.isArray(headers) && !Array.isArray(headers[0]) ? headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1]]] : [])) : headers);

function headersOf(headers) {
  const found = Object.fromEntries(headers);
  return headers.has("set-cookie") ? { ...found, "set-cookie": headers.getSetCookie() } : found;
}

const refused = (name) => () => {
  throw new Error(`undici: ${name} needs sockets, which there are none of here: use fetch or request.`);
};

export const connect = refused("connect");
export const pipeline = refused("pipeline");
export const stream = refused("stream");
export const upgrade = refused("upgrade");
export const errors = { UndiciError: Error };
export const interceptors = {};

export default { Agent, Client, Dispatcher, FormData, Headers, Pool, ProxyAgent, Request, Response, connect, errors, fetch, getGlobalDispatcher, interceptors, pipeline, request, setGlobalDispatcher, stream, upgrade };
