// Copies of arrays in other layouts and number formats.
#pragma once
#include "numbers.cuh"

// [n, a, b] -> [n, b, to_a] with a <= to_a: rows of the source are `from_b` long, and what has no source is zero.
template <class S, class D> __device__ __forceinline__ void transpose(const S* x, D* y, int from_n, int a, int b, int from_b, int to_a) {
    __shared__ float tile[32][33];
    int n = blockIdx.z, left = blockIdx.x * 32, top = blockIdx.y * 32;
    const S* from = x + (size_t)n * a * from_b;
    D* to = y + (size_t)n * b * to_a;
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = top + i, column = left + threadIdx.x;
        tile[i][threadIdx.x] = n < from_n && row < a && column < b ? wide(from[(size_t)row * from_b + column]) : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.y; i < 32; i += 8) {
        int row = left + i, column = top + threadIdx.x;
        if (row < b && column < to_a) to[(size_t)row * to_a + column] = Narrow<D>::of(tile[threadIdx.x][i]);
    }
}
#define TRANSPOSE(name, S, D) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, int from_n, int a, int b, int from_b, int to_a) { transpose<S, D>(x, y, from_n, a, b, from_b, to_a); }
TRANSPOSE(transpose_f32_f32, float, float)
TRANSPOSE(transpose_f32_bf16, float, bf16)
TRANSPOSE(transpose_bf16_f32, bf16, float)
TRANSPOSE(transpose_bf16_bf16, bf16, bf16)

// The same for few rows: a thread has a column. `count` is n·b.
template <class S, class D> __device__ __forceinline__ void transpose_few(const S* x, D* y, u64 count, int a, int b, int from_b, int to_a) {
    FOR_NUMBERS(count) {
        u32 n = (u32)at / (u32)b, column = (u32)at % (u32)b;
        const S* from = x + (size_t)n * a * from_b + column;
        for (int k = 0; k < to_a; ++k) y[at * to_a + k] = Narrow<D>::of(k < a ? wide(from[(size_t)k * from_b]) : 0.0f);
    }
}
#define TRANSPOSE_FEW(name, S, D) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, u64 count, int a, int b, int from_b, int to_a) { transpose_few<S, D>(x, y, count, a, b, from_b, to_a); }
TRANSPOSE_FEW(transpose_few_f32_f32, float, float)
TRANSPOSE_FEW(transpose_few_f32_bf16, float, bf16)
TRANSPOSE_FEW(transpose_few_bf16_f32, bf16, float)
TRANSPOSE_FEW(transpose_few_bf16_bf16, bf16, bf16)

// Copies an image [n, h, w, c] of the source from (row, column) on; what lies outside the source is zero. A thread has N channels, which c is
// a multiple of; `count` is that of its groups of channels.
template <class S, class D, int N> __device__ __forceinline__ void window(const S* x, D* y, u64 count, int h, int w, int c, int from_h, int from_w, int from_c, int row, int column) {
    FOR_NUMBERS(count) {
        Place p = place(at, h, w, c / N);
        int i = p.i + row, j = p.j + column, first = p.k * N;
        bool inside = i >= 0 && i < from_h && j >= 0 && j < from_w;
        const S* from = x + ((p.n * from_h + i) * from_w + j) * from_c;
#pragma unroll
        for (int k = 0; k < N; ++k) y[at * N + k] = Narrow<D>::of(inside && first + k < from_c ? wide(from[first + k]) : 0.0f);
    }
}
#define WINDOW(name, S, D, N) \
    extern "C" __global__ void __launch_bounds__(256) name(const S* x, D* y, u64 count, int h, int w, int c, int from_h, int from_w, int from_c, int row, int column) { window<S, D, N>(x, y, count, h, w, c, from_h, from_w, from_c, row, column); }
#define WINDOWS(name, S, D) WINDOW(name##_1, S, D, 1) WINDOW(name##_3, S, D, 3) WINDOW(name##_4, S, D, 4) WINDOW(name##_8, S, D, 8)
WINDOWS(window_f32_f32, float, float)
WINDOWS(window_f32_bf16, float, bf16)
WINDOWS(window_bf16_f32, bf16, float)
WINDOWS(window_bf16_bf16, bf16, bf16)
