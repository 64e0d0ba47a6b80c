# Content and names outside the scope.
HOST, SECRET = W["host"], W["host"] + "/secret"
LEFT = f"agent-backend-{os.path.basename(W['top'])}"


@attempt("tenant")
def _():
    return read(W["two"] + "/secret")


@attempt("dots")
def _():
    return read("../two/secret")


@attempt("link")
def _():
    os.symlink(W["two"], "link")
    return read("link/secret")


@attempt("path-handle")
def _():
    handle = os.open(SECRET, os.O_PATH)
    return read(f"/proc/self/fd/{handle}")


@attempt("host-file")
def _():
    return read(SECRET)


@attempt("process-root")
def _():
    places = [f"/proc/{pid}/{way}" for pid in processes() for way in ("root", "cwd")]
    up = "/.." * 12
    return first([lambda p=place, u=u: read(p + u + SECRET) for place in places for u in ("", up)])


@attempt("process-fd")
def _():
    places = []
    for pid in processes():
        try:
            places += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            pass  # Not ours to see.
    # On a directory, one leads on; on another file, to its neighbours.
    return first([lambda p=place, u=up: read(p + u + SECRET) for place in places for up in ("", "/.." * 12)])


@attempt("other-tmp")
def _():
    for directory, _, names in os.walk(W["state"]):
        if LEFT in names:
            return read(f"{directory}/{LEFT}")
    return False


@attempt("shared-tmp")
def _():
    return first([lambda d=d: read(f"{d}/{LEFT}") for d in ("/tmp", "/var/tmp", "/dev/shm")])


@attempt("program")
def _():
    import subprocess

    return subprocess.run([HOST + "/tool"], capture_output=True, text=True).stdout


@attempt("list")
def _():
    return "secret" in os.listdir(HOST)


@attempt("shadow")
def _():
    return "root:" in read("/etc/shadow")


@attempt("write")
def _():
    with open(HOST + "/write", "w") as file:
        file.write("altered")


@attempt("append")
def _():
    with open(HOST + "/append", "a") as file:
        file.write("altered")


@attempt("truncate")
def _():
    os.truncate(HOST + "/truncate", 0)


@attempt("unlink")
def _():
    os.unlink(HOST + "/unlink")


@attempt("steal")
def _():
    os.rename(HOST + "/steal", "stolen")


@attempt("exchange")
def _():
    open("own-exchange", "w").close()
    path = ctypes.c_char_p((HOST + "/exchange").encode())
    system_call("renameat2", -100, ctypes.c_char_p(b"own-exchange"), -100, path, 2)


@attempt("rename")
def _():
    os.rename(HOST + "/rename", HOST + "/rename.elsewhere")


@attempt("hard-link")
def _():
    os.link(HOST + "/hard-link", "twin")
    with open("twin", "w") as file:
        file.write("altered")


@attempt("create")
def _():
    open(HOST + "/create.new", "w").close()


@attempt("mkdir")
def _():
    os.mkdir(HOST + "/mkdir.new")


@attempt("symlink")
def _():
    os.symlink("x", HOST + "/symlink.new")


@attempt("fifo")
def _():
    os.mkfifo(HOST + "/fifo.new")


@attempt("socket")
def _():
    socket.socket(socket.AF_UNIX).bind(HOST + "/socket.new")


@attempt("link-out")
def _():
    open("own-link", "w").close()
    os.link("own-link", HOST + "/link-out.new")


@attempt("rename-out")
def _():
    open("own-rename", "w").close()
    os.rename("own-rename", HOST + "/rename-out.new")


@attempt("tmpfile")
def _():
    handle = os.open(HOST, os.O_TMPFILE | os.O_WRONLY, 0o644)
    name_unnamed(handle, HOST + "/tmpfile.new")


@attempt("rmdir")
def _():
    os.rmdir(HOST + "/rmdir.d")
