"""A server of another implementation: SFTP and commands for one user, by the ways to log in that it is told.

Arguments: the directory with the keys, and the ways, separated by commas. It says its port, and ends with its input.
"""

import asyncio
import subprocess
import sys

import asyncssh
from asyncssh.packet import Boolean, String, UInt32

DIRECTORY, WAYS = sys.argv[1], sys.argv[2].split(",")
USER, PASSWORD = "ada", "right \u00e4 'password'"


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return "password" in WAYS

    def validate_password(self, username, password):
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self):
        return "key" in WAYS

    def validate_public_key(self, username, key):
        known = asyncssh.read_authorized_keys(f"{DIRECTORY}/authorized_keys")
        return username == USER and known.validate(key, "", "127.0.0.1", "127.0.0.1") is not None

    def kbdint_auth_supported(self):
        return bool({"questions", "endless"}.intersection(WAYS))

    def get_kbdint_challenge(self, username, lang, submethods):
        # A word of welcome, without a question, comes first.
        return "", "Welcome", "", []

    def validate_kbdint_response(self, username, responses):
        if not responses:
            return "", "", "", [("Nickname: ", True), ("Password: ", False)]
        if "endless" in WAYS:
            return "", "", "", [("Once more: ", False)]
        return username == USER and responses[1] == PASSWORD


async def run_and_tell_its_end_first(process):
    """A server learns of the end and of the output from different sources: any order is right."""
    program = subprocess.Popen(
        process.command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    stdout, stderr = await asyncio.get_running_loop().run_in_executor(None, program.communicate)
    if program.returncode < 0:
        words = (String("KILL"), Boolean(False), String(""), String(""))
        process.channel._send_request(b"exit-signal", *words)
    else:
        process.channel._send_request(b"exit-status", UInt32(program.returncode))
    process.stdout.write(stdout)
    await asyncio.sleep(0.05)
    process.stderr.write(stderr)
    process.channel.close()


async def run(process):
    program = subprocess.Popen(
        process.command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await process.redirect(stdin=program.stdin, stdout=program.stdout, stderr=program.stderr)
    code = await asyncio.get_running_loop().run_in_executor(None, program.wait)
    await process.stdout.drain()
    await process.stderr.drain()
    process.exit(code if code >= 0 else 128 - code)


async def main():
    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[f"{DIRECTORY}/host_key"],
        process_factory=run_and_tell_its_end_first if "end-first" in WAYS else run,
        sftp_factory="no-files" not in WAYS,
        encoding=None,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


asyncio.run(main())
