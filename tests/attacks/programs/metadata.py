# What can be done to a file without opening it.
HOST = W["host"]


@attempt("stat")
def _():
    return os.stat(HOST + "/stat").st_size == 9


@attempt("chdir")
def _():
    os.chdir(HOST)
    return os.getcwd() == HOST


@attempt("watch")
def _():
    watcher = libc.inotify_init()
    found = libc.inotify_add_watch(watcher, (HOST + "/watch.d").encode(), 0xFFF)
    return found >= 0


@attempt("chmod")
def _():
    os.chmod(HOST + "/chmod", 0o601)


@attempt("chown")
def _():
    os.chown(HOST + "/chown", 4242, 4242)


@attempt("utimes")
def _():
    os.utime(HOST + "/utimes", (1_000_000, 1_000_000))


@attempt("xattr")
def _():
    os.setxattr(HOST + "/xattr", "user.attack", b"x")


@attempt("own-setuid")
def _():
    os.chmod(HOST + "/own-setuid", 0o4755)
