# Memory, queues and keys that other tenants and the host share with everybody who can name them.
libc.shmat.restype = ctypes.c_void_p
KEY = 0x5EC0 + os.getuid()


def attach(segment):
    memory = libc.shmat(segment, None, 0o10000)
    if memory in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    return ctypes.string_at(memory, 64).decode("utf-8", "replace")


@attempt("segment")
def _():
    return attach(W["ipc"]["segment"])


@attempt("tenant-segment")
def _():
    segment = libc.shmget(KEY, 0, 0)
    if segment < 0:
        return False
    text = attach(segment)
    libc.shmctl(segment, 0, None)  # IPC_RMID
    return text


@attempt("queue")
def _():
    handle = libc.mq_open(W["ipc"]["queue"].encode(), os.O_RDONLY | os.O_NONBLOCK)
    room = ctypes.create_string_buffer(128)
    if handle < 0 or libc.mq_receive(handle, room, 128, None) < 0:
        raise OSError(ctypes.get_errno(), "mq")
    return room.value.decode("utf-8", "replace")


@attempt("shm")
def _():
    return read(W["ipc"]["shm"])


@attempt("keyring")
def _():
    key = system_call("keyctl", 10, -4, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"agent-backend-test"), 0)
    room = ctypes.create_string_buffer(256)
    length = system_call("keyctl", 11, key, room, 256)
    system_call("keyctl", 9, key, -4)  # unlink
    return room.raw[:length].decode("utf-8", "replace")
