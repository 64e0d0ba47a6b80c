# Lives on: in whatever session it was started in, or as a daemon that no signal but SIGKILL ends.
import os, signal, sys, time

if sys.argv[1] == "daemon":
    for _ in range(2):
        if os.fork():
            os._exit(0)
        os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, 64)
with open("up", "w"):
    pass
time.sleep(100)
