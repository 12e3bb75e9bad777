"""A process as a restricted pod has it: an arbitrary user of group 0 without capabilities, and a read-only file system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: As OpenShift chooses them: of no entry in /etc/passwd.
USER = 1_000_650_000
# The outer user namespace lets the mounts of this process alone be changed; the inner one takes every capability away again.
SCRIPT = f"""\
mount --make-rprivate /
mount -t tmpfs tmpfs "$(readlink -f /var/run)"
mkdir -p /var/run/secrets/kubernetes.io
cp -r "$1" /var/run/secrets/kubernetes.io/serviceaccount
shift
while read -r _ place kind _; do
  case $place in /proc*|/sys*) ;; *) mount -o remount,bind,ro "$place" 2> /dev/null ;; esac
done < /proc/self/mounts
exec unshare --user --map-user={USER} --map-group=0 -- "$@"
"""


def confined(command: Sequence[str | Path], service_account: Path) -> list[str | Path]:
    """A command that runs another one so, with a folder in the place of the pod's service account.

    It is done by unshare(1) of util-linux, on a Linux that lets users have namespaces.
    """
    return ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", SCRIPT, "sh", service_account, *command]
