# Another tenant leaves its secret in a shared memory segment and in the user's keyring.
KEY = 0x5EC0 + os.getuid()
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(KEY, 4096, 0o1666)
if segment >= 0:
    memory = libc.shmat(segment, None, 0)
    ctypes.memmove(memory, W["secret"].encode(), len(W["secret"]))
try:
    secret = W["secret"].encode()
    system_call("add_key", ctypes.c_char_p(b"user"), ctypes.c_char_p(b"agent-backend-test"), ctypes.c_char_p(secret), len(secret), -4)
except OSError:
    pass
