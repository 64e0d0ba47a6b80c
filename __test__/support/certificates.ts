// An authority of the test's own, and certificates of it, made by openssl.

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "./temporary.js";

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Files as PEM: whom to trust, and what a server shows. */
export interface Certificate {
  /** The text of the authority's certificate. */
  ca: string;
  /** Where the server's certificate and its key are. */
  files: { certificate: string; key: string };
  /** What makes a daemon show it. */
  flags: string[];
}

/** A certificate for these names (`IP:127.0.0.1,DNS:localhost`) that is valid for so many days from now on. */
export async function certificate(names: string, days = 30): Promise<Certificate> {
  const directory = await temporaryDirectory();
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: directory, stdio: ["ignore", "ignore", "ignore"] });
  };
  const authority = [
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "30",
    "-subj",
    "/CN=Authority",
  ];
  openssl("req", "-x509", ...KEY, ...authority);
  openssl("req", "-new", ...KEY, "-keyout", "key.pem", "-out", "server.csr", "-subj", "/CN=Server");
  await writeFile(file("ext"), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext"];
  const request = ["-req", "-in", "server.csr", "-out", "server.pem", "-days", String(days)];
  openssl("x509", ...request, ...signed);
  const files = { certificate: file("server.pem"), key: file("key.pem") };
  return {
    ca: await readFile(file("ca.pem"), "utf8"),
    files,
    flags: ["--tls-cert", files.certificate, "--tls-key", files.key],
  };
}
