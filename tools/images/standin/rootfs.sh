#!/bin/sh
# A stand-in for the image python:3.13-slim out of Debian 13's own packages, as a folder:  rootfs.sh FOLDER   (root, mmdebstrap)
# For machines that reach package registries but no image registry. MIRROR= takes another Debian mirror than this machine's own.
set -eu
OUT=${1:?usage: rootfs.sh FOLDER}
LIB=/usr/lib/$(uname -m)-linux-gnu
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$' || echo http://deb.debian.org/debian)}
mmdebstrap --quiet --architectures="$(dpkg --print-architecture)" --variant=extract \
  --include=base-files,bash,dash,coreutils,sed,grep,findutils,tar,gzip,hostname,libc-bin,netbase,media-types,python3,python3-minimal,python3-pip,python3-venv,ca-certificates,tzdata,libstdc++6 \
  --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
  --dpkgopt=path-exclude='/usr/share/i18n/*' --dpkgopt=path-exclude='/usr/share/info/*' --dpkgopt=path-exclude='/usr/share/perl*' \
  --dpkgopt=path-exclude="$LIB/gconv/*" --dpkgopt=path-exclude="$LIB/perl*" \
  --dpkgopt=path-exclude='/usr/include/*' --dpkgopt=path-exclude='*.a' \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  trixie "$OUT" "deb $MIRROR trixie main"
[ -e "$OUT/bin/sh" ] || ln -s dash "$OUT/bin/sh"
printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >"$OUT/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\nshadow:x:42:\n' >"$OUT/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$OUT/etc/nsswitch.conf"
ldconfig -r "$OUT"
mkdir -p "$OUT/usr/local/bin" "$OUT/root" "$OUT/tmp" "$OUT/etc/ssl/certs"
chmod 1777 "$OUT/tmp"
for name in python python3; do ln -sf /usr/bin/python3 "$OUT/usr/local/bin/$name"; done
ln -sf /usr/bin/pip3 "$OUT/usr/local/bin/pip"
rm -f "$OUT"/usr/lib/python3.*/EXTERNALLY-MANAGED # the real image has no such mark
# what the package's script would have made of its certificates
find "$OUT/usr/share/ca-certificates/mozilla" -name '*.crt' -exec cat {} + >"$OUT/etc/ssl/certs/ca-certificates.crt"
rm -rf "$OUT"/var/cache/apt/* "$OUT"/var/lib/apt/lists/* "$OUT/etc/hostname" "$OUT/etc/resolv.conf"
