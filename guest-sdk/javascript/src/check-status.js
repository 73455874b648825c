/** Responses about an instance: where to ask for it, and how it ended. */

import { HttpResponse } from "./azure-http.js";

/** The links of an instance, with the origin to which the request was sent. */
export function linksFor(links, request) {
  const url = request?.url ?? request?.http?.url;
  if (!URL.canParse(url ?? "")) {
    return links;
  }
  const { origin } = new URL(url);
  // All links have one origin; the id beside them may look like a URL.
  const own = /^[a-z]+:\/\/[^/]*/i.exec(links.statusQueryGetUri)?.[0];
  const moved = (link) => (own && link.startsWith(`${own}/`) ? origin + link.slice(own.length) : link);
  return Object.fromEntries(Object.entries(links).map(([name, link]) => [name, moved(link)]));
}

/** 202, and the links. */
export function checkStatusResponse(links) {
  const headers = { "Content-Type": "application/json", Location: links.statusQueryGetUri, "Retry-After": "10" };
  return new HttpResponse({ status: 202, jsonBody: links, headers });
}

/**
 * The status and the body of the response of an instance that has ended: its output, or, if it has not completed, its status. 404 if there is no
 * such instance, as the management API responds.
 */
export function endOf(status) {
  if (!status) {
    return { status: 404 };
  }
  switch (status.runtimeStatus) {
    case "Completed":
      return { status: 200, jsonBody: status.output };
    case "Canceled":
    case "Terminated":
      return { status: 200, jsonBody: status };
    case "Failed":
      return { status: 500, jsonBody: status };
    default:
      return undefined;
  }
}

export function endResponse(end) {
  if (end.status === 404) {
    return new HttpResponse(end);
  }
  return new HttpResponse({ ...end, headers: { "Content-Type": "application/json" } });
}
