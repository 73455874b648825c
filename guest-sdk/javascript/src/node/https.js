/** `https`: the host makes the connection, and checks the certificate of the server. */

import * as http from "./http.js";

export const { Server, createServer } = http;

export class Agent extends http.Agent {
  constructor(options) {
    super({ protocol: "https:", defaultPort: 443, ...options });
  }
}

export const globalAgent = new Agent();

export function request(input, options, callback) {
  const secure = { protocol: "https:", agent: globalAgent };
  if (typeof input === "string" || input instanceof URL) {
    return typeof options === "function" ? http.request(input, secure, options) : http.request(input, { ...secure, ...options }, callback);
  }
  return http.request({ ...secure, ...input }, options, callback);
}

export function get(input, options, callback) {
  const sent = request(input, options, callback);
  sent.end();
  return sent;
}

export default { Agent, Server, createServer, get, globalAgent, request };
