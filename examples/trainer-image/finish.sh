#!/bin/sh
# What the packages' scripts would have done, and two patches:  finish.sh FOLDER LIBRARY_FOLDER
set -eu
ROOT=$1
LIB=$ROOT$2
DIST=$ROOT/usr/lib/python3/dist-packages/torch/distributed

# alternatives
for name in blas lapack; do
  [ -e "$LIB/lib$name.so.3" ] || ln -s "$name/lib$name.so.3" "$LIB/lib$name.so.3"
done
ln -sf libmpi.so.40 "$LIB/libmpi.so"
[ -e "$ROOT/bin/sh" ] || ln -s dash "$ROOT/bin/sh"
[ -e "$ROOT/usr/bin/python" ] || ln -s python3 "$ROOT/usr/bin/python"

# Debian builds torch without libuv, which its TCPStore asks for by default. USE_LIBUV=0 turns that off except in four calls:
# the workers' client of torchrun's store, and torchrun's own three.
sed -i 's/^            is_master=False,$/            is_master=False, use_libuv=use_libuv,/' "$DIST/rendezvous.py"
grep -q 'is_master=False, use_libuv=use_libuv,' "$DIST/rendezvous.py"
set -- "$DIST/elastic/rendezvous/static_tcp_rendezvous.py" "$DIST/elastic/rendezvous/dynamic_rendezvous.py" \
  "$DIST/elastic/rendezvous/c10d_rendezvous_backend.py"
sed -i 's/multi_tenant=True,$/multi_tenant=True, use_libuv=False,/' "$@"
[ "$(grep -l 'use_libuv=False' "$@" | wc -l)" = 3 ]

printf 'root:x:0:0:root:/root:/bin/bash\ntrainer:x:1000:1000:trainer:/work:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$ROOT/etc/passwd"
printf 'root:x:0:\ntrainer:x:1000:\nnogroup:x:65534:\n' >"$ROOT/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$ROOT/etc/nsswitch.conf"
mkdir -p "$ROOT/app" "$ROOT/work" "$ROOT/tmp"
chmod 1777 "$ROOT/tmp"
chown 1000:1000 "$ROOT/work"
rm -rf "$ROOT"/var/cache/apt/* "$ROOT"/var/lib/apt/lists/* "$ROOT/etc/hostname" "$ROOT/etc/resolv.conf"
ldconfig -r "$ROOT"
# Byte code: without it every rank compiles torch's Python at each start (4.9 s of processor time and not 1.9 s).
# Some packages hold files for other versions of Python that do not compile; that is no failure of the image.
chroot "$ROOT" python3 -m compileall -q -j2 /usr/lib/python3/dist-packages /usr/lib/python3.13 >/dev/null 2>&1 || true
chroot "$ROOT" python3 -I -c 'import torch, torch.distributed' 
