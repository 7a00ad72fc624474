// Kernels of the CUDA backend, over channels-last arrays of f32 or bf16.
//
// build.sh compiles this text to kernels.ptx, which is checked in; the tests compile the same text with g++ over
// cuda_on_cpu.h. So it uses no header of CUDA, and bf16 numbers are their upper sixteen bits.
//
// Sums are taken in two stages whose order depends on the shape alone: no atomics, and the same bits in every run.

#include "activations.cuh"
#include "attention.cuh"
#include "batch_norm.cuh"
#include "classes.cuh"
#include "convolutions.cuh"
#include "glu.cuh"
#include "image_transform.cuh"
#include "layouts.cuh"
#include "learned_slope.cuh"
#include "minibatch_std.cuh"
#include "pixel_norm.cuh"
#include "pixels.cuh"
#include "sample_norm_jvp.cuh"
#include "spectral_norm.cuh"
#include "training.cuh"
