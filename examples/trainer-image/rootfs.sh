#!/bin/sh
# The examples' training image as a folder: Debian 13 with Python 3.13 and PyTorch for the CPU, 0.7 GB.
#   rootfs.sh FOLDER     (needs root and mmdebstrap; MIRROR= to take another Debian mirror than this machine's own)
# Packages are unpacked and their scripts not run, which is quick; finish.sh does what is needed of those.
set -eu
OUT=${1:?usage: rootfs.sh FOLDER}
HERE=$(dirname "$(readlink -f "$0")")
ARCH=$(dpkg --print-architecture)
LIB=/usr/lib/$(uname -m)-linux-gnu
PY=/usr/lib/python3/dist-packages
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/$' || echo http://deb.debian.org/debian)}

set --
exclude() { for path; do EXCLUDED="$EXCLUDED --dpkgopt=path-exclude=$path"; done; }
EXCLUDED=
set -f # the patterns are dpkg's
exclude '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/i18n/*' '/usr/share/lintian/*' \
  '/usr/share/bug/*' '/usr/share/bash-completion/*' '/usr/share/zsh/*' '/usr/share/perl*' '/usr/share/icons/*' '/usr/share/doc-base/*' \
  '/usr/share/vim/*' '/usr/share/openmpi/*' '/usr/share/libdrm/*' '/usr/share/zoneinfo/*' '/usr/share/X11/*' '/usr/share/gcc*' \
  '/usr/share/gdb/*' '/usr/include/*' '*.a' '*.la'
# GPU libraries that hang off MPI's plugins by dlopen. libz3, libdnnl, libonnx, libmpi, libvulkan and libXNNPACK are linked: they stay.
exclude "$LIB/gconv/*" "$LIB/perl*" '/usr/lib/llvm-17/*' "$LIB/libLLVM*" "$LIB/libamd_comgr*" "$LIB/libamdhip64*" "$LIB/libhsa-*" \
  "$LIB/ucx/*" "$LIB/libze_*" "$LIB/liboshmem*" "$LIB/libmpi_*" "$LIB/libX[0-9a-z]*" "$LIB/libxcb*" "$LIB/libcaffe2*"
# what only tests and scikit-learn itself need: of that, just the data set is wanted
exclude '/usr/libexec/libtorch-test/*' '/usr/lib/libtorch-test/*' "$LIB/libtorch-test/*" "$PY/scipy/*" "$PY/sklearn/*" \
  "$PY/*/tests/*" "$PY/*/test/*" "$PY/hypothesis*" "$PY/*/include/*" '/usr/lib/python3.13/test/*' '/usr/lib/python3.13/idlelib/*' \
  '/usr/lib/python3.13/ensurepip/*' '/usr/lib/python3.13/pydoc_data/*'

# shellcheck disable=SC2086
mmdebstrap --quiet --architectures="$ARCH" --variant=extract \
  --include=base-files,base-passwd,bash,dash,coreutils,sed,grep,findutils,hostname,procps,libc-bin,netbase,python3-minimal,python3,python3-numpy,python3-torch,python3-sklearn \
  $EXCLUDED "--dpkgopt=path-include=$PY/sklearn/datasets/data/digits.csv.gz" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
  trixie "$OUT" "deb $MIRROR trixie main"
sh "$HERE/finish.sh" "$OUT" "$LIB" # mmdebstrap runs no hooks for this variant
