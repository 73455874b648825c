/** The part of `net` that needs no sockets. */

const PART = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${PART}(?:\\.${PART}){3}$`);

export const isIPv4 = (text) => IPV4.test(text);

export function isIPv6(text) {
  try {
    return /^[0-9a-f:.]+(%\w+)?$/i.test(text) && text.includes(":") && new URL(`http://[${String(text).replace(/%.*/, "")}]`).hostname !== "";
  } catch {
    return false;
  }
}

export const isIP = (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);
