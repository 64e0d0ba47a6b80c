# Runs a program in a user and a mount namespace of its own, with the same users in it, where no further one can be made.
# Only this namespace's own limit is changed; the host's stays. Arguments: the limit or "-", the user, the program and its
# arguments. Run by root.
import ctypes, os, sys

limit, user, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
ready, told = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.close(told[1])  # so that the end of the parent is told
    if ctypes.CDLL(None, use_errno=True).unshare(0x10020000) != 0:
        os._exit(90)
    os.write(ready[1], b"x")
    if os.read(told[0], 1) != b"x":
        os._exit(91)
    if limit != "-":
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write(limit)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.execv(program[0], program)
os.close(ready[1])
if os.read(ready[0], 1) == b"x":
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w") as file:
            file.write("0 0 65536")
    os.write(told[1], b"x")
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
