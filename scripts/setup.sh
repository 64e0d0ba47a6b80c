#!/usr/bin/env bash
# Installs the system packages that commands and tests use, where it may, and names what this machine lacks. It never
# fails: what is missing costs only what needs it, and the tests name each one they skip. Arguments of the form
# command:package name what is wanted besides.
set -uo pipefail

# command:package
needed=(bwrap:bubblewrap git:git python3:python3 setsid:util-linux setfacl:acl setfattr:attr
  ssh:openssh-client sshd:openssh-server rclone:rclone sshfs:sshfs faketime:faketime nginx:nginx-light openssl:openssl
  systemd-analyze:systemd "$@")

missing=()
for pair in "${needed[@]}"; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done

# Of the system's own Python, whichever comes first in PATH.
python=/usr/bin/python3
has_asyncssh() { "$python" -W ignore -c 'import asyncssh' >/dev/null 2>&1; }
has_asyncssh || missing+=(python3-asyncssh)

if ((${#missing[@]})) && ((EUID == 0)) && command -v apt-get >/dev/null 2>&1; then
  echo "setup: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Tests start their own: nothing that is installed here becomes a service of this machine.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >/dev/null 2>&1; then
    echo "setup: apt could not install ${missing[*]}"
  fi
fi

for pair in "${needed[@]}"; do
  command -v "${pair%%:*}" >/dev/null 2>&1 ||
    echo "setup: missing: ${pair%%:*} (install the package ${pair##*:}); what needs it is skipped by name"
done

has_asyncssh ||
  echo "setup: missing: asyncssh (install the package python3-asyncssh); what needs it is skipped by name"

if command -v bwrap >/dev/null 2>&1 &&
  ! problem=$(bwrap --unshare-user --unshare-pid --ro-bind / / true 2>&1); then
  echo "setup: missing: user namespaces for bubblewrap (${problem//$'\n'/; })"
  if [[ $(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null) == 1 ]]; then
    echo "setup:   AppArmor restricts them: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap"
  fi
  if [[ $(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null) == 0 ]]; then
    echo "setup:   the kernel restricts them: sysctl kernel.unprivileged_userns_clone=1"
  fi
  if [[ $(cat /proc/sys/user/max_user_namespaces 2>/dev/null) == 0 ]]; then
    echo "setup:   there is room for none: sysctl user.max_user_namespaces=10000"
  fi
  echo "setup:   in a container, its seccomp profile may refuse them; tests at isolation 'bwrap' are skipped by name"
fi
exit 0
