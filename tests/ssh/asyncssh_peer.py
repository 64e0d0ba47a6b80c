"""What another implementation does with the server: commands, many at once, a terminal, files, and what is refused."""

import asyncio
import sys

import asyncssh

PORT, KEY, KNOWN_HOSTS = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def connect(**options):
    return asyncssh.connect(
        "127.0.0.1", PORT, username="agent", known_hosts=KNOWN_HOSTS, config=None, agent_path=None, **options
    )


async def commands(connection):
    done = await connection.run("cat; echo err >&2; exit 3", input="hello")
    assert (done.stdout, done.stderr, done.exit_status) == ("hello", "err\n", 3), done
    done = await connection.run("kill -KILL $$")
    assert done.exit_signal[0] == "KILL", done.exit_signal
    at_once = await asyncio.gather(*(connection.run(f"echo {number}") for number in range(40)))
    assert [done.stdout for done in at_once] == [f"{number}\n" for number in range(40)]


async def terminal(connection):
    done = await connection.run("stty size; echo $TERM", term_type="xterm", term_size=(90, 20))
    assert done.stdout.split() == ["20", "90", "xterm"], done.stdout


async def files(connection):
    data = bytes(range(256)) * 8192
    async with connection.start_sftp_client() as sftp:
        async with sftp.open("file", "wb") as file:
            await file.write(data)
        async with sftp.open("file", "rb") as file:
            assert await file.read() == data
            await file.seek(1000)
            assert await file.read(10) == data[1000:1010]
        assert (await sftp.stat("file")).size == len(data)
        await sftp.mkdir("d")
        await sftp.rename("file", "d/file")
        await sftp.posix_rename("d/file", "d/other")
        await sftp.chmod("d/other", 0o600)
        # Its order of the two names is the draft's for all servers but OpenSSH's.
        await sftp.symlink("kept", "by-asyncssh")
        assert await sftp.readlink("by-asyncssh") == "kept"
        assert await sftp.readlink("by-openssh") == "kept"
        async with sftp.open("by-openssh", "rb") as file:
            assert await file.read() == b"of both"
        await sftp.truncate("d/other", 5)
        async with sftp.open("d/other", "ab") as file:
            await file.write(b"!!")
        async with sftp.open("d/other", "rb") as file:
            assert await file.read() == data[:5] + b"!!"
        assert (await sftp.statvfs(".")).bsize > 0
        assert sorted(name for name in await sftp.listdir(".") if name not in (".", "..")) == [
            "by-asyncssh", "by-openssh", "d", "kept"
        ]
        try:
            await sftp.stat("missing")
            raise AssertionError("it is missing")
        except asyncssh.SFTPNoSuchFile:
            pass
        await sftp.remove("d/other")
        await sftp.rmdir("d")


async def refused(connection):
    try:
        await connection.open_connection("127.0.0.1", PORT)
        raise AssertionError("a tunnel was opened")
    except asyncssh.ChannelOpenError:
        pass
    try:
        await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", PORT)
        raise AssertionError("a port was opened")
    except asyncssh.ChannelListenError:
        pass
    try:
        async with connect(password="wrong", client_keys=None):
            raise AssertionError("the password is wrong")
    except asyncssh.PermissionDenied:
        pass


async def main():
    async with connect(client_keys=[KEY]) as connection:
        for part in (commands, terminal, files, refused):
            await part(connection)
    async with connect(password="secret", client_keys=None) as connection:
        assert (await connection.run("echo in")).stdout == "in\n"
    print("all is well")


asyncio.run(main())
