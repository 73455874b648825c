/** `stream/consumers`: what a stream holds, as a whole. */

export * as default from "./stream-consumers.js";

export async function buffer(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  }
  return Buffer.concat(chunks);
}

export const arrayBuffer = async (stream) => Uint8Array.from(await buffer(stream)).buffer;
export const blob = async (stream) => new Blob([await buffer(stream)]);
export const text = async (stream) => new TextDecoder().decode(await buffer(stream));
export const json = async (stream) => JSON.parse(await text(stream));
