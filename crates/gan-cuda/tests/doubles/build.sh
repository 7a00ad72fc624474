#!/bin/sh
# Builds doubles of NVIDIA's driver, cuDNN and cuBLAS into FOLDER: build.sh FOLDER [FLAGS of g++]. Programs use them with GAN_CUDA_LIBS=FOLDER.
set -e
here=$(dirname "$0")
folder=$1
shift
mkdir -p "$folder"
# The short names are the first that cudarc asks the loader for.
g++ -std=c++17 -O2 -w -shared -fPIC "$@" -Wl,-soname,libcuda.so "$here/driver.cpp" -o "$folder/libcuda.so.1" -ldl
g++ -std=c++17 -O2 -w -shared -fPIC "$@" -Wl,-soname,libcudnn.so "$here/cudnn.cpp" -o "$folder/libcudnn.so.9"
g++ -std=c++17 -O2 -w -shared -fPIC "$@" -Wl,-soname,libcublas.so "$here/cublas.cpp" -o "$folder/libcublas.so.13"
