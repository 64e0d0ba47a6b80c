# Raw calls. What one makes goes with the process that made it, or is taken away at once.
text = ctypes.c_char_p
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REMOUNT, MS_BIND, MNT_DETACH = 32, 4096, 2
FD_HERE = -100


def own_directory(name):
    os.makedirs(name, exist_ok=True)
    return text(os.path.abspath(name).encode())


@attempt("mount")
def _():
    target = own_directory("mount")
    system_call("mount", text(b"tmpfs"), target, text(b"tmpfs"), 0, None)
    system_call("umount2", target, MNT_DETACH)


@attempt("bind")
def _():
    target = own_directory("bind")
    system_call("mount", text(b"/usr"), target, None, MS_BIND, None)
    system_call("umount2", target, MNT_DETACH)


@attempt("remount", unsafe=True)
def _():
    ways = [lambda p=p: system_call("mount", None, text(p), None, MS_REMOUNT | MS_BIND, None) == 0 for p in (b"/usr", b"/etc", b"/proc", b"/proc/sys", b"/dev", b"/")]
    return first(ways)


@attempt("mount-setattr", unsafe=True)
def _():
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0))  # clears read-only
    return first([lambda p=p: system_call("mount_setattr", FD_HERE, text(p), 0, attributes, 32) == 0 for p in (b"/usr", b"/etc", b"/proc", b"/")])


@attempt("umount", unsafe=True)
def _():
    return first([lambda p=p: system_call("umount2", text(p), MNT_DETACH) == 0 for p in (b"/proc/kcore", b"/proc/sysrq-trigger", b"/tmp", b"/dev/shm", b"/etc")])


@attempt("open-tree")
def _():
    handle = system_call("open_tree", FD_HERE, text(b"/usr"), 1 | os.O_CLOEXEC)
    target = own_directory("open-tree")
    system_call("move_mount", handle, text(b""), FD_HERE, target, 4)
    system_call("umount2", target, MNT_DETACH)


@attempt("fsopen")
def _():
    os.close(system_call("fsopen", text(b"tmpfs"), 1))


@attempt("pivot-root", unsafe=True)
def _():
    system_call("pivot_root", text(b"."), text(b"."))


@attempt("chroot")
def _():
    os.chroot(".")


@attempt("mknod-block")
def _():
    os.mknod("block", 0o060600, os.makedev(7, 250))
    os.unlink("block")


@attempt("hostname")
def _():
    socket.sethostname(socket.gethostname())


@attempt("unshare-user")
def _():
    system_call("unshare", CLONE_NEWUSER)


@attempt("unshare-mount")
def _():
    system_call("unshare", CLONE_NEWNS)


@attempt("clone-user")
def _():
    if system_call("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


@attempt("clone3-user")
def _():
    arguments = ctypes.create_string_buffer(struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    if system_call("clone3", arguments, 64) == 0:
        os._exit(0)


@attempt("setns")
def _():
    system_call("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0)


@attempt("handle")
def _():
    # The handle that the host would make, and a descriptor of the same file system: the scope's directory.
    handle = bytes.fromhex(W["handle"])
    if not handle:
        return False
    mount = os.open(".", os.O_RDONLY)
    found = system_call("open_by_handle_at", mount, ctypes.create_string_buffer(handle), os.O_RDONLY)
    return os.read(found, 4096).decode()


@attempt("bpf")
def _():
    system_call("bpf", 0, (ctypes.c_uint32 * 32)(2, 4, 4, 1), 72)  # an array of one


@attempt("perf")
def _():
    event = ctypes.create_string_buffer(struct.pack("IIQ", 1, 112, 0), 112)  # the processor's clock, this process
    system_call("perf_event_open", event, 0, -1, -1, 0)


@attempt("io-uring")
def _():
    system_call("io_uring_setup", 1, ctypes.create_string_buffer(256))


@attempt("userfaultfd")
def _():
    system_call("userfaultfd", 1)


@attempt("fanotify")
def _():
    system_call("fanotify_init", 4, 0)


KEY = (text(b"user"), text(b"agent-backend-attack"))


@attempt("add-key")
def _():
    system_call("add_key", *KEY, text(b"x"), 1, -1)


@attempt("keyctl")
def _():
    system_call("keyctl", 1, None)  # another session keyring


@attempt("request-key")
def _():
    system_call("add_key", *KEY, text(b"x"), 1, -2)
    system_call("request_key", *KEY, None, 0)


@attempt("kexec", unsafe=True)
def _():
    system_call("kexec_load", 0, 0, None, 0)


@attempt("module", unsafe=True)
def _():
    # What the kernel says once it has looked at the rights: there is nothing to load.
    for name, arguments in (("init_module", (text(b"x"), 1, text(b""))), ("delete_module", (text(b"no_such"), 0))):
        try:
            system_call(name, *arguments)
            return True
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOSYS):
                return True
    return False


@attempt("reboot", unsafe=True)
def _():
    # With a wrong magic number nothing happens; it is looked at after the rights.
    try:
        system_call("reboot", 1, 2, 3, None)
    except OSError as error:
        return error.errno == errno.EINVAL


@attempt("swap", unsafe=True)
def _():
    with open("swap", "wb") as file:
        file.truncate(1 << 20)
    try:
        system_call("swapon", text(b"swap"), 0)
    except OSError as error:
        return error.errno != errno.EPERM


@attempt("syslog")
def _():
    system_call("syslog", 3, ctypes.create_string_buffer(64), 64)


@attempt("clock")
def _():
    system_call("clock_adjtime", 0, ctypes.create_string_buffer(512))


@attempt("tiocsti")
def _():
    import fcntl, pty, termios

    _, inner = pty.openpty()
    os.setsid()
    fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
    fcntl.ioctl(inner, termios.TIOCSTI, b"x")


@attempt("lease")
def _():
    import fcntl

    open("leased", "w").close()
    fcntl.fcntl(os.open("leased", os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)


def machine_code(code):
    """Runs code that gives back what a system call did."""
    import mmap

    room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    room.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    result = ctypes.CFUNCTYPE(ctypes.c_long)(address)()
    if result < 0:
        raise OSError(-result, "machine code")
    return f"process {result}" if result > 1 else False


X86_64 = os.uname().machine == "x86_64"


@attempt("i386")
def _():
    # push rbx; mov eax, 20 (getpid); int 0x80; cdqe; pop rbx; ret
    return X86_64 and machine_code(bytes.fromhex("53b814000000cd8048985bc3"))


@attempt("x32")
def _():
    # mov eax, 0x40000027 (getpid); syscall; ret
    return X86_64 and machine_code(bytes.fromhex("b8270000400f05c3"))
