// Who an application is to an SSH server of another implementation: by password, by the answer to a question, by key.

import { expect } from "vitest";
import { RemoteFilesystemBackend } from "../ts/index.js";
import { type Asyncssh, PASSWORD, startAsyncssh, USER } from "./support/asyncssh.js";
import { cleanUp, failure } from "./support/backends.js";
import { needs } from "./support/needs.js";

const test = needs("asyncssh");

type Auth = NonNullable<ConstructorParameters<typeof RemoteFilesystemBackend>[0]["sshAuth"]>;

const byPassword = (password: string, username = USER): Auth => ({
  type: "password",
  credentials: { username, password },
});

const byKey = (privateKey: string, passphrase?: string): Auth => ({
  type: "key",
  credentials: { username: USER, privateKey, ...(passphrase === undefined ? {} : { passphrase }) },
});

function backendOf(server: Asyncssh, auth: Auth): RemoteFilesystemBackend {
  const backend = new RemoteFilesystemBackend(server.config(auth));
  cleanUp(() => backend.destroy());
  return backend;
}

async function letsIn(server: Asyncssh, auth: Auth): Promise<void> {
  const backend = backendOf(server, auth);
  await backend.write("d/a", "ü");
  expect(await backend.read("d/a")).toBe("ü");
  expect(await backend.exec("cat d/a")).toBe("ü");
  expect(backend.status).toBe("connected");
  await backend.destroy();
}

async function refuses(server: Asyncssh, auth: Auth, code: string, why: RegExp): Promise<void> {
  const backend = backendOf(server, auth);
  for (const error of await Promise.all([failure(backend.connect()), failure(backend.read("a"))])) {
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(why)]);
    expect(error.message).not.toMatch(/password'|wrong words|PRIVATE KEY/);
  }
  expect(backend.status).toBe("disconnected");
}

test("a password opens the door, and a wrong one is UNAUTHORIZED", async () => {
  const server = await startAsyncssh("password", "key");
  await letsIn(server, byPassword(PASSWORD));
  await refuses(server, byPassword("wrong words"), "UNAUTHORIZED", /'ada'.*password/);
  await refuses(server, byPassword(PASSWORD, "eve"), "UNAUTHORIZED", /'eve'/);
});

test("where the password is the answer to a question it is given there", async () => {
  const server = await startAsyncssh("questions");
  await letsIn(server, byPassword(PASSWORD));
  await refuses(server, byPassword("wrong words"), "UNAUTHORIZED", /'ada'/);
});

test("a key opens the door, with its passphrase where it has one", async () => {
  const server = await startAsyncssh("key");
  await letsIn(server, byKey(await server.privateKey()));
  const encrypted = await server.privateKey("pass phrase");
  await letsIn(server, byKey(encrypted, "pass phrase"));
  const unreadable = "INVALID_CONFIGURATION";
  await refuses(server, byKey(encrypted, "wrong words"), unreadable, /with its passphrase/);
  await refuses(server, byKey(encrypted), unreadable, /need a passphrase/);
  await refuses(server, byPassword(PASSWORD), "UNAUTHORIZED", /publickey/);
});
