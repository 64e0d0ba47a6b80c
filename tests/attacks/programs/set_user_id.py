# Files that would give rights to whoever runs them on the host.
import struct


def own(name):
    open(name, "w").close()
    return name


@attempt("chmod")
def _():
    os.chmod(own("chmod"), 0o4755)


@attempt("fchmod")
def _():
    os.fchmod(os.open(own("fchmod"), os.O_RDONLY), 0o4755)


@attempt("fchmodat")
def _():
    directory = os.open(".", os.O_RDONLY)
    os.chmod(own("fchmodat"), 0o4755, dir_fd=directory)


@attempt("fchmodat2")
def _():
    system_call("fchmodat2", -100, ctypes.c_char_p(own("fchmodat2").encode()), 0o4755, 0)


@attempt("open")
def _():
    os.open("open", os.O_CREAT | os.O_WRONLY, 0o4755)


@attempt("openat2")
def _():
    how = struct.pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    system_call("openat2", -100, ctypes.c_char_p(b"openat2"), ctypes.c_char_p(how), len(how))


@attempt("creat")
def _():
    if libc.creat(b"creat", 0o4755) < 0:
        return False


@attempt("mknod")
def _():
    os.mknod("mknod", 0o100000 | 0o4755)


@attempt("tmpfile")
def _():
    handle = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755)
    name_unnamed(handle, "tmpfile")


@attempt("setgid")
def _():
    os.chmod(own("setgid"), 0o2755)


@attempt("setgid-directory")
def _():
    os.mkdir("setgid-directory")
    os.chmod("setgid-directory", 0o2775)


@attempt("capability")
def _():
    # Version 2, CAP_SYS_ADMIN permitted and effective.
    value = struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0)
    os.setxattr(own("capability"), "security.capability", value)


@attempt("device")
def _():
    os.mknod("device", 0o020000 | 0o666, os.makedev(1, 3))
