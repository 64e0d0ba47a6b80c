# Another tenant leaves its secret in its private /tmp and in the places that a host shares, where it may.
own = os.environ.get("TMPDIR", "/tmp")
for directory in {own, "/tmp", "/var/tmp", "/dev/shm"}:
    try:
        with open(f"{directory}/agent-backend-{os.path.basename(W['top'])}", "w") as file:
            file.write(W["secret"])
        os.chmod(file.name, 0o666)
    except OSError:
        assert directory != own
