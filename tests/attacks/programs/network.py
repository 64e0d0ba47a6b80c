# Servers of the host on its loopback, and families of sockets that reach further.
SERVERS = W["servers"]


def ask(family, address, kind=socket.SOCK_STREAM):
    client = socket.socket(family, kind)
    client.settimeout(2)
    client.connect(address)
    if kind == socket.SOCK_DGRAM:
        client.send(b"?")
    return client.recv(4096).decode()


@attempt("tcp")
def _():
    return ask(socket.AF_INET, ("127.0.0.1", SERVERS["tcp"]))


@attempt("udp")
def _():
    return ask(socket.AF_INET, ("127.0.0.1", SERVERS["udp"]), socket.SOCK_DGRAM)


@attempt("abstract")
def _():
    return ask(socket.AF_UNIX, "\0" + SERVERS["abstract"])


@attempt("unix")
def _():
    return ask(socket.AF_UNIX, SERVERS["path"])


@attempt("unix-datagram")
def _():
    # A socket that needs no call of its own to be made: one of a pair can be sent through to anybody.
    ways = [lambda kind=kind: socket.socketpair(socket.AF_UNIX, kind)[0] for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW)]
    ways.append(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    return first([lambda way=way: way().sendto(b"x", SERVERS["datagram"]) for way in ways])


@attempt("listen")
def _():
    server = socket.create_server(("127.0.0.1", 0))
    return server.getsockname()


@attempt("interfaces")
def _():
    return [name for _, name in socket.if_nameindex() if name != "lo"] or False


@attempt("proxy")
def _():
    if not W["listed"]:
        raise Skip()

    def through(host):
        client = socket.create_connection(("127.0.0.1", 3128), 5)
        target = f"{host}:{SERVERS['tcp']}"
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(4096), b"")).decode()

    names = ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0")
    return "".join(through(name) for name in names)


@attempt("raw")
def _():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)


@attempt("packet")
def _():
    socket.socket(17, socket.SOCK_RAW, 0)


@attempt("vsock")
def _():
    socket.socket(40, socket.SOCK_STREAM, 0)


@attempt("alg")
def _():
    socket.socket(38, socket.SOCK_SEQPACKET, 0)
