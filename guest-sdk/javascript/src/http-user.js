/** The user of a request, as authenticating proxies of Azure (App Service, Static Web Apps) name them in headers. */

const PRINCIPAL = "x-ms-client-principal";

/** @param header returns the value of a header */
export function userOf(header) {
  const principal = principalOf(header(PRINCIPAL));
  if (!principal) {
    return null;
  }
  const { identityProvider, userId, userDetails } = principal;
  return identityProvider
    ? { type: "StaticWebApps", id: userId, username: userDetails, identityProvider, claimsPrincipalData: principal }
    : {
        type: "AppService",
        id: header(`${PRINCIPAL}-id`) ?? "",
        username: header(`${PRINCIPAL}-name`) ?? "",
        identityProvider: header(`${PRINCIPAL}-idp`) ?? "",
        claimsPrincipalData: principal,
      };
}

/** Anybody can send such a header, so one that is not as it must be names nobody. */
function principalOf(header) {
  try {
    const principal = JSON.parse(Buffer.from(header ?? "", "base64").toString("utf8"));
    return typeof principal === "object" && !Array.isArray(principal) ? principal : null;
  } catch {
    return null;
  }
}
