# Files of the kernel and devices. Opening is enough; nothing is written.
import stat


def opens(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    return path


def any_opens(paths, flags):
    return first([lambda p=p: opens(p, flags) for p in paths])


def below(top, is_skipped=lambda path: False):
    for directory, inner, names in os.walk(top):
        paths = {n: os.path.join(directory, n) for n in inner}
        inner[:] = [n for n, path in paths.items() if not is_skipped(path) and not os.path.islink(path)]
        for path in (os.path.join(directory, name) for name in names):
            try:
                is_file = stat.S_ISREG(os.lstat(path).st_mode)
            except FileNotFoundError:
                continue
            if is_file:
                yield path


@attempt("proc-sys")
def _():
    return any_opens(below("/proc/sys"), os.O_WRONLY)


@attempt("core-pattern")
def _():
    return opens("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@attempt("sysrq")
def _():
    # What is masked is /dev/null, which takes everything.
    return stat.S_ISREG(os.stat("/proc/sysrq-trigger").st_mode) and opens("/proc/sysrq-trigger", os.O_WRONLY)


@attempt("proc-rest")
def _():
    # Processes come and go meanwhile.
    def is_skipped(path):
        directory, name = os.path.split(path)
        return path in ("/proc/sys", "/proc/tty") or (directory == "/proc" and name.isdigit())

    return any_opens(below("/proc", is_skipped), os.O_WRONLY)


@attempt("kcore")
def _():
    return len(read("/proc/kcore")) > 0


@attempt("proc-secrets")
def _():
    def symbols():
        return any(not line.startswith("0000") for line in read("/proc/kallsyms").splitlines()[:20])

    return first([symbols, lambda: "keyring" in read("/proc/keys"), lambda: "Timer" in read("/proc/timer_list")])


@attempt("sys")
def _():
    return any_opens(below("/sys/kernel/mm"), os.O_WRONLY)


@attempt("cgroup")
def _():
    return any_opens((p for p in below("/sys/fs/cgroup") if p.endswith("/cgroup.procs")), os.O_WRONLY)


@attempt("block-device")
def _():
    devices = (os.path.join(d, n) for d, _, names in os.walk("/dev") for n in names)
    return any_opens((p for p in devices if stat.S_ISBLK(os.lstat(p).st_mode)), os.O_RDONLY)


@attempt("devices")
def _():
    return any_opens([f"/dev/{name}" for name in ("mem", "kmsg", "kvm", "fuse", "net/tun")], os.O_RDONLY)


@attempt("terminals")
def _():
    found = [f"/dev/pts/{n}" for n in os.listdir("/dev/pts") if n.isdigit()]
    return any_opens(found + ["/dev/console", "/dev/tty", "/dev/tty0", "/dev/tty1"], os.O_RDWR)


@attempt("device-mode")
def _():
    # The mode that it has: whoever may set that may set any.
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        try:
            os.chmod(f"/dev/{name}", stat.S_IMODE(os.stat(f"/dev/{name}").st_mode))
            return name
        except OSError:
            pass
    return False


@attempt("input-mode")
def _():
    return first([lambda fd=fd: os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode)) or stat.S_ISCHR(os.fstat(fd).st_mode) for fd in (0, 1, 2)])


@attempt("new-privileges")
def _():
    return "NoNewPrivs:\t1" not in read("/proc/self/status")


@attempt("capabilities")
def _():
    lines = [line for line in read("/proc/self/status").splitlines() if line.startswith(("CapEff", "CapPrm", "CapInh", "CapAmb"))]
    return any(int(line.split()[1], 16) for line in lines)


@attempt("core-dump")
def _():
    import resource

    # 1 is what the kernel takes for a dump of such a program itself.
    return resource.getrlimit(resource.RLIMIT_CORE)[1] not in (0, 1)
