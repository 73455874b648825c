/** `stream`: Node.js's own, as it is published on npm. Streams of the web are read and made by what they have in common. */

import Stream from "readable-stream/lib/stream";

export const {
  Readable,
  Writable,
  Duplex,
  Transform,
  PassThrough,
  addAbortSignal,
  compose,
  destroy,
  finished,
  isDisturbed,
  isErrored,
  isReadable,
  pipeline,
  promises,
  getDefaultHighWaterMark,
  setDefaultHighWaterMark,
} = Stream;

export const isDestroyed = (stream) => stream.destroyed === true;
export const isWritable = (stream) => stream.writable === true;

Readable.fromWeb = (stream, options) => Readable.from(stream, { objectMode: false, ...options });
Readable.toWeb = (stream) => ReadableStream.from(stream);

Writable.fromWeb = (stream, options) => {
  const writer = stream.getWriter();
  const settle = (promise, callback) => promise.then(() => callback(), callback);
  return new Writable({
    ...options,
    write: (chunk, _encoding, callback) => settle(writer.write(chunk), callback),
    final: (callback) => settle(writer.close(), callback),
    destroy: (error, callback) => (error ? settle(writer.abort(error), () => callback(error)) : callback(null)),
  });
};

Object.assign(Stream, { isDestroyed, isWritable });
export { Stream };
export default Stream;
