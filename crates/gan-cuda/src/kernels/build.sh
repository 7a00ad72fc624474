#!/bin/sh
# Compiles kernels.cu and the files that it includes to kernels.ptx with nvcc 13.0, for all cards from compute capability 8.0 on. The first
# line of the result names the checksum of all of them, which a test compares.
#
#   python3 -m venv nv && nv/bin/pip install --no-deps nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
#       nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
#   NVCC=$(echo nv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc) sh kernels/build.sh
set -e
cd "$(dirname "$0")"
"${NVCC:-nvcc}" -ptx -arch=compute_80 -std=c++17 kernels.cu -o kernels.tmp
{ echo "// of kernels.cu $(LC_ALL=C sh -c 'cat kernels.cu *.cuh' | sha256sum | cut -d' ' -f1)"; cat kernels.tmp; } > kernels.ptx
rm kernels.tmp
