// A learned slope: a factor of the numbers whose side is not above zero, or of all numbers without sides.
//
// There are `sides` of them; number i has that of i modulo `sides`.
#pragma once
#include "reductions.cuh"

// The place of a number's side. There are few rounds, which take less time than a division of 64 bits.
__device__ __forceinline__ size_t side_of(size_t at, u64 sides) {
    while (at >= sides) at -= sides;
    return at;
}

template <class L> __device__ __forceinline__ void learned_slope(const float* slope, const typename L::type* side, const typename L::type* x, typename L::type* y, u64 n, u64 sides) {
    float by = *slope;
    FOR_LANES(n) {
        float a[L::N], b[L::N];
        L::load(x + at, a);
        if (side) L::load(side + side_of(at, sides), b);
        for (int i = 0; i < L::N; ++i) a[i] = side && b[i] > 0.0f ? a[i] : by * a[i];
        L::store(y + at, a);
    }
}
#define P_LEARNED_SLOPE(T) (const float* slope, const T* side, const T* x, T* y, u64 n, u64 sides)
EACH_LANES(learned_slope, P_LEARNED_SLOPE, (slope, side, x, y, n, sides))

// The sum of x·g where the slope applies, over this block's numbers.
template <class L> __device__ __forceinline__ void slope_sums(const typename L::type* side, const typename L::type* x, const typename L::type* g, u64 n, u64 sides, double* partial) {
    double total = 0.0;
    FOR_LANES(n) {
        float a[L::N], b[L::N], c[L::N], sum = 0.0f;
        L::load(x + at, a);
        L::load(g + at, b);
        if (side) L::load(side + side_of(at, sides), c);
        for (int i = 0; i < L::N; ++i) sum += side && c[i] > 0.0f ? 0.0f : a[i] * b[i];
        total += sum;
    }
    total = over_block(total);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}
#define P_SLOPE_SUMS(T) (const T* side, const T* x, const T* g, u64 n, u64 sides, double* partial)
EACH_LANES(slope_sums, P_SLOPE_SUMS, (side, x, g, n, sides, partial))

// For each row of blocks the sum of their numbers, times a factor.
extern "C" __global__ void __launch_bounds__(256) add_blocks(const double* partial, int blocks, double factor, float* to) {
    double sum = 0.0;
    for (int b = threadIdx.x; b < blocks; b += 256) sum += partial[(size_t)blockIdx.x * blocks + b];
    sum = over_block(sum);
    if (threadIdx.x == 0) to[blockIdx.x] = (float)(sum * factor);
}
