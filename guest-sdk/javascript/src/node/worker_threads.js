/** The part of `worker_threads` that needs no second thread. */

export const isMainThread = true;
export const parentPort = null;
export const threadId = 0;
export const workerData = null;
export const markAsUntransferable = () => {};
