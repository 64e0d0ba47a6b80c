# What every attack uses. `W` tells of the world. Each attack is tried in a child of its own, so that nothing of it
# reaches the next one, and one line says how it went.
import ctypes, errno, os, signal, socket, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
N = W["numbers"]


def system_call(name, *arguments):
    """Makes a call by its number; integers are passed as they are, bytes as pointers."""
    ctypes.set_errno(0)
    whole = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(N["SYS_" + name]), *whole)
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


class Skip(Exception):
    """There is no such case at this level."""


def attempt(name, unsafe=False):
    """Tries the function below it. `unsafe`: only behind a wall, since it would harm the host."""

    def decorate(function):
        sys.stdout.flush()
        if name not in W["attacks"]:
            return function
        if unsafe and not W["walled"]:
            print(f"ATTACK\t{name}\tskipped", flush=True)
            return function
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(8)
            outcome = "done"
            try:
                detail = function()
                if detail is False:
                    outcome = "refused"
            except Skip:
                outcome, detail = "skipped", ""
            except OSError as error:
                outcome, detail = "refused", errno.errorcode.get(error.errno, str(error))
            except Exception as error:
                outcome, detail = "refused", f"{type(error).__name__} {error}"
            text = str(detail).replace("\n", " ").replace("\t", " ")
            os.write(1, f"ATTACK\t{name}\t{outcome}\t{text}\n".encode("utf-8", "replace"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(f"ATTACK\t{name}\trefused\tsignal {os.WTERMSIG(status)}", flush=True)
        return function

    return decorate


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read(4096).decode("utf-8", "replace")


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def name_unnamed(handle, name):
    """Gives a name to a file that was opened with O_TMPFILE."""
    if libc.linkat(-100, f"/proc/self/fd/{handle}".encode(), -100, name.encode(), 0x400) < 0:
        raise OSError(ctypes.get_errno(), name)


def first(functions):
    """The first that finds something; what the last one raised, if none does."""
    failure = None
    for function in functions:
        try:
            found = function()
            if found:
                return found
        except OSError as error:
            failure = error
    if failure:
        raise failure
    return False
