#!/bin/sh
# Becomes the daemon, as the environment says; arguments are more flags of `agent-backend daemon`.
#
# Runs first what is in /docker-entrypoint.d, in the order of the names: *.sh that can be executed as programs, others
# read into this shell, so that they can set variables.
#
#   ROOT_DIR             the directory to serve                  (/var/workspace)
#   HOST, PORT           where to listen                         (0.0.0.0, 3001)
#   AUTH_TOKEN           the token; TOKENS_FILE several of them  (one of both is needed)
#   SCOPE_PATH           a directory below ROOT_DIR that everything is confined to
#   ISOLATION            the wall around commands                (auto)
#   POLICY_FILE          rules of access
#   SSH_USERS, SSH_PUBLIC_KEY, SSH_AUTHORIZED_KEYS, SSH_PORT
#                        SSH on TCP, where one of the first three is set; SSH_PORT is 2222 unless set
#   TLS_CERT, TLS_KEY    files
#   LOG_FORMAT           text or json
set -eu

for file in "${ENTRYPOINT_DIR:-/docker-entrypoint.d}"/*.sh; do
  [ -e "$file" ] || continue
  if [ -x "$file" ]; then "$file"; else . "$file"; fi
done

# Secrets are not flags: the daemon takes them from the environment, where no process list shows them.
if [ -n "${SSH_USERS:-}${SSH_PUBLIC_KEY:-}${SSH_AUTHORIZED_KEYS:-}" ]; then
  set -- --conventional-ssh --ssh-port "${SSH_PORT:-2222}" "$@"
fi
[ -z "${SCOPE_PATH:-}" ] || set -- --scopePath "$SCOPE_PATH" "$@"
[ -z "${ISOLATION:-}" ] || set -- --isolation "$ISOLATION" "$@"
[ -z "${POLICY_FILE:-}" ] || set -- --policy-file "$POLICY_FILE" "$@"
[ -z "${TOKENS_FILE:-}" ] || set -- --tokens-file "$TOKENS_FILE" "$@"
[ -z "${SSH_PUBLIC_KEY:-}" ] || set -- --ssh-public-key "$SSH_PUBLIC_KEY" "$@"
[ -z "${SSH_AUTHORIZED_KEYS:-}" ] || set -- --ssh-authorized-keys "$SSH_AUTHORIZED_KEYS" "$@"
[ -z "${TLS_CERT:-}" ] || set -- --tls-cert "$TLS_CERT" "$@"
[ -z "${TLS_KEY:-}" ] || set -- --tls-key "$TLS_KEY" "$@"
[ -z "${LOG_FORMAT:-}" ] || set -- --log-format "$LOG_FORMAT" "$@"

exec agent-backend daemon \
  --rootDir "${ROOT_DIR:-/var/workspace}" --host "${HOST:-0.0.0.0}" --port "${PORT:-3001}" "$@"
