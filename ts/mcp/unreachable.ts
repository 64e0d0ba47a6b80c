// Why a daemon could not be reached, in the words of the connection that files and commands use: Node's own name neither
// the option to change nor, for some, the problem.

import type { Endpoint } from "../remote-config.js";

const UNKNOWN_AUTHORITY =
  "nobody whom we trust has signed the certificate; pass the authority's certificate as `tls.ca`";
const NO_TLS =
  "the server does not speak TLS on this port; set `secure: false` only if you trust the network";

/** By the code of Node's error. */
const PROBLEMS: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: "the certificate has expired (or the clock of this machine is wrong)",
  CERT_NOT_YET_VALID: "the certificate is not valid yet (or the clock of this machine is wrong)",
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
};

/** What to say of an error of a connection that has carried nothing. */
export function whyUnreachable(error: Error, at: Endpoint): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `the certificate is not for '${at.host}'`;
  if (code === "EPROTO" && /wrong version|packet length/.test(error.message)) return NO_TLS;
  return PROBLEMS[code] ?? (error.message || "the connection failed");
}

/** Whether the first answer of a connection was no HTTP at all, and what that may mean. */
export function whyNotHttp(error: Error, at: Endpoint): string | undefined {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (!code.startsWith("HPE_")) return undefined;
  const perhaps = at.secure ? "" : " One with TLS needs `secure: true`.";
  return `what answers there is no daemon; is \`port\` right?${perhaps}`;
}
