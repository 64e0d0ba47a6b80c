# A process of the host that lets everybody trace it.
VICTIM, ADDRESS, LENGTH = W["victim"]["pid"], W["victim"]["address"], W["victim"]["length"]


def is_victim():
    return "SECRET_IN_ENVIRONMENT" in read(f"/proc/{VICTIM}/cmdline")


@attempt("list")
def _():
    return is_victim()


@attempt("arguments")
def _():
    return read(f"/proc/{VICTIM}/cmdline")[-200:]


@attempt("environment")
def _():
    return read(f"/proc/{VICTIM}/environ")


def of_any_process(file, mark):
    """What of such a file of any process follows the mark."""

    def look(pid):
        text = read(f"/proc/{pid}/{file}")
        return text[text.index(mark) :] if mark in text and pid != os.getpid() else False

    return first([lambda p=pid: look(p) for pid in processes()])


@attempt("tenant-arguments")
def _():
    return of_any_process("cmdline", "tenant" + "-argument:")


@attempt("tenant-environment")
def _():
    return of_any_process("environ", "TENANT" + "_TOKEN=")


@attempt("ours")
def _():
    return "attacks" in read(f"/proc/{W['host_pid']}/comm") and len(read(f"/proc/{W['host_pid']}/environ")) > 0


@attempt("launcher", unsafe=True)
def _():
    own = os.getpid()

    def look(pid):
        line = read(f"/proc/{pid}/cmdline")
        environment = read(f"/proc/{pid}/environ")
        return (pid == 1 and environment) or "--bind" in line or "--setenv" in line

    return first([lambda p=pid: look(p) for pid in processes() if pid != own])


def into_init():
    try:
        system_call("ptrace", 0x4206, 1, 0, 0)  # PTRACE_SEIZE
        return "ptrace"
    except OSError:
        pass
    # One byte of its memory that can be written, to be what it is already.
    line = next(line for line in read("/proc/1/maps").splitlines() if line.split()[1].startswith("rw"))
    address = int(line.split("-")[0], 16)
    room = ctypes.create_string_buffer(1)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(room), 1)
    there = (ctypes.c_void_p * 2)(address, 1)
    system_call("process_vm_readv", 1, here, 1, there, 1, 0)
    system_call("process_vm_writev", 1, here, 1, there, 1, 0)
    return "process_vm_writev"


@attempt("init", unsafe=True)
def _():
    def by_file():
        return os.open("/proc/1/mem", os.O_RDWR)

    if W["level"] != "bwrap":
        raise Skip()
    return first([into_init, by_file])


@attempt("launcher-program")
def _():
    if W["level"] == "landlock":
        raise Skip()  # Its program lies outside the workspace, as any file of the host.
    # Whether it may be written; that it is running now does not matter.
    return first([lambda p=pid: os.access(f"/proc/{p}/exe", os.W_OK) for pid in processes()])


@attempt("vm-read")
def _():
    room = ctypes.create_string_buffer(LENGTH)
    here = (ctypes.c_void_p * 2)(ctypes.addressof(room), LENGTH)
    there = (ctypes.c_void_p * 2)(ADDRESS, LENGTH)
    system_call("process_vm_readv", VICTIM, here, 1, there, 1, 0)
    return room.raw.decode("utf-8", "replace")


@attempt("mem")
def _():
    handle = os.open(f"/proc/{VICTIM}/mem", os.O_RDONLY)
    return os.pread(handle, LENGTH, ADDRESS).decode("utf-8", "replace")


@attempt("ptrace")
def _():
    system_call("ptrace", 0x4206, VICTIM, 0, 0)  # PTRACE_SEIZE; goes with this process
    return is_victim()


@attempt("getfd")
def _():
    handle = system_call("pidfd_open", VICTIM, 0)
    taken = system_call("pidfd_getfd", handle, 77, 0)
    return os.pread(taken, 4096, 0).decode()


@attempt("limits")
def _():
    import resource

    if not is_victim():
        return False
    resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (200, 200))


@attempt("priority")
def _():
    if not is_victim():
        return False
    # Lower than it is, which needs no right.
    os.setpriority(os.PRIO_PROCESS, VICTIM, min(os.getpriority(os.PRIO_PROCESS, VICTIM) + 1, 19))


@attempt("application")
def _():
    # Signal 0 tells whether another one could be sent.
    def parent(pid):
        return int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1])

    def is_launcher(pid):
        try:
            return read(f"/proc/{pid}/cmdline").startswith("agent-backend\0")
        except OSError:
            return False

    shell = parent(os.getppid())
    outside = [W["host_pid"], parent(shell) if shell > 1 else 1] + [pid for pid in processes() if is_launcher(pid)]
    return first([lambda p=pid: os.kill(p, 0) is None for pid in outside if pid > 1])


@attempt("kill")
def _():
    prey = W["victim"]["prey"]
    first([lambda: system_call("pidfd_send_signal", system_call("pidfd_open", prey, 0), 9, None, 0) == 0, lambda: os.kill(prey, 9) is None])
    time.sleep(0.1)
