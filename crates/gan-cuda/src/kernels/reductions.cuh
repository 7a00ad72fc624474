// Sums over neighboring threads, in an order that depends on the block's shape alone.
#pragma once
#include "numbers.cuh"

// Loop over rows that have a row of threads each: all threads take the same number of turns, because `across` needs them.
#define FOR_THREAD_ROWS(count) for (size_t first = (size_t)blockIdx.x * blockDim.y; first < (count); first += (size_t)gridDim.x * blockDim.y)

// The sum over a row of threads, a power of two up to 32 of them, which each of them gets. All threads of a warp must arrive here.
template <class V> __device__ __forceinline__ V across(V v) {
    for (int half = blockDim.x / 2; half > 0; half /= 2) v += __shfl_xor_sync(0xffffffffu, v, half);
    return v;
}

// The same for the largest number.
__device__ __forceinline__ float largest_across(float v) {
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, v, half);
        v = other > v ? other : v;
    }
    return v;
}

// The sum over a block of 256 threads, which each of them gets.
__device__ __forceinline__ double over_block(double v) {
    __shared__ double part[256];
    part[threadIdx.x] = v;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    double sum = part[0];
    // The place may be needed again.
    __syncthreads();
    return sum;
}
