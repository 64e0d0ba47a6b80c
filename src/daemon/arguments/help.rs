//! The text of `--help`.

/// What `agent-backend daemon --help` prints.
pub const HELP: &str = "\
Serves a workspace: MCP over HTTP, SSH in a WebSocket or on TCP; with --local-only MCP over standard input and output.

Usage: agent-backend daemon --rootDir DIR [options]

What is served:
      --rootDir DIR        The directory to serve, created if missing; with --backend memory an absolute path that only
                           names the root
      --scopePath PATH     Confine everything to this directory below --rootDir; it is created by the first write
      --local-only         Serve MCP over standard input and output instead of the network
      --backend KIND       local: files of this machine; memory: files that end with the daemon (default: local)
      --policy-file FILE   Rules of access, as JSON: { \"rules\": [{ \"match\": GLOB, \"allow\": \"none\" | \"read\" | \"write\" }] };
                           outside --rootDir, and not writable by others
      --state-dir DIR      Where what outlives a call is kept (default: AGENT_BACKEND_STATE_DIR, or the system's place)

Who may come in:
      --host HOST          Where to listen (default: every address with a token, 127.0.0.1 without)
      --port PORT          That port (default: 3001; 0 lets the system choose)
      --auth-token TOKEN   The token; better in AGENT_BACKEND_AUTH_TOKEN or AUTH_TOKEN
      --auth-token-file F  A file with the token
      --tokens-file FILE   Several tokens, as JSON: [{ \"token\" | \"tokenSha256\", \"name\", \"scope\", \"rights\" }]
      --allow-query-token  Take ?token= as well, for clients that can send no header
      --allowed-host NAME  One more name for this daemon in Host; * is any; may be repeated
      --allowed-origin O   An origin of web pages that may call; may be repeated
      --tls-cert FILE, --tls-key FILE
                           Serve TLS (PEM)

SSH:
      --disable-ssh-ws     No SSH in a WebSocket
      --conventional-ssh   An SSH server on TCP as well
      --ssh-port PORT      (default: 22)
      --ssh-host-key FILE  (default: one of our own in the state directory)
      --ssh-users LIST     name:password pairs separated by commas, each with :scope=PATH and :rights=read+write+exec
                           behind it where it is to have less; better in SSH_USERS
      --ssh-users-file FILE
                           Users, as JSON: { \"users\": [{ \"name\", \"password\", \"scope\", \"rights\", \"publicKeys\" }] }
      --ssh-public-key KEY A line of authorized_keys, for every user; without any, for the user agent
      --ssh-authorized-keys FILE
                           Such lines

Commands:
      --isolation LEVEL    The wall around them: auto, bwrap, landlock, software or none (default: auto, which is bwrap
                           or no commands)
      --allow-weak-isolation
                           Let several tenants share a level below bwrap
      --network NET        host, none, or hosts separated by commas (default: none with tokens for scopes, else host)
      --shell SHELL        Who reads them: auto, bash or sh (default: auto)
      --host-tools         Let programs run that PATH finds outside the system directories
      --scope-uid UID      As root: who owns the directories of scopes (default: 60600)
      --limit NAME=VALUE   Of each command: memory, processes, cpu, cpus, file-size, open-files; may be repeated
                           (default: processes=512 and open-files=4096; `--limit none` takes these away)
      --scope-limit N=V    Of all commands of a scope: memory, processes, cpus
      --max-bytes SIZE     Of the whole workspace
      --tmp-bytes SIZE     Of the private /tmp of a scope (default: 4G; 0 is no bound)
      --command-timeout T  Of a command that names none (default: none)
      --max-commands N     At a time (default: 256)

Bounds and log:
      --max-connections N  At a time (default: 1024)
      --idle-timeout T     How long a connection may do nothing (default: 60s)
      --grace T            What running calls get after SIGTERM (default: 10s)
      --log-format FORMAT  text or json (default: text)
      --log-level LEVEL    error, warn, info, debug or trace (default: info)
  -h, --help               Print this help

Sizes are written 4096, 512M or 2G, times 500ms, 30s, 5m or 1h; a time without a unit is in seconds.

--root-dir, --scope-path and --policyFile are the same as --rootDir, --scopePath and --policy-file. A memory backend is also
served by `agent-backend --backend memory --rootDir PATH`, as clients of agent-backend 0.13 start it.";
