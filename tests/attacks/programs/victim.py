# A process with secrets: in its arguments, its environment, its memory and an open file. It lets everybody trace it,
# so that only the wall is in the way, and tells where in its memory the secret is.
import ctypes, os, sys, time

libc = ctypes.CDLL(None)
libc.prctl(0x59616D61, ctypes.c_ulong(-1 & 0xFFFFFFFFFFFFFFFF), 0, 0, 0)  # PR_SET_PTRACER, anybody
libc.prctl(1, 9, 0, 0, 0)  # dies with the thread that started it, at the latest
memory = ctypes.create_string_buffer(b"memory:" + os.environ["SECRET_IN_ENVIRONMENT"].split(":")[1].encode())
held = os.open(sys.argv[2], os.O_RDONLY)
os.dup2(held, 77)
print(ctypes.addressof(memory), flush=True)
time.sleep(300)
