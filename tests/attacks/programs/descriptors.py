# Every descriptor that there is, as a way to the host.
@attempt("inherited")
def _():
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]

    def through(number):
        handle = os.open(W["host"].lstrip("/") + "/secret", os.O_RDONLY, dir_fd=number)
        return os.read(handle, 4096).decode()

    return first([lambda n=n: through(n) for n in numbers])
