// Spectral norm of a kernel W of f32 numbers. The formulas are in spectral_norm.rs.
#pragma once
#include "reductions.cuh"

// W has a row for each output; column c of the row lies at [c / after][output][c % after].
struct SpectralSides {
    int before, outputs, after;
    __device__ __forceinline__ u32 columns() const { return (u32)before * (u32)after; }
    __device__ __forceinline__ size_t place(u32 output, u32 column) const {
        return ((size_t)(column / (u32)after) * outputs + output) * after + column % (u32)after;
    }
};

// Wᵀu. A block has 32 columns, with eight threads each, which add every eighth row.
extern "C" __global__ void __launch_bounds__(256) spectral_columns(SpectralSides by, const float* w, const float* u, float* v) {
    __shared__ float part[256];
    u32 column = blockIdx.x * 32 + threadIdx.x % 32;
    bool is_inside = column < by.columns();
    float sum = 0.0f;
    if (is_inside) {
        const float* from = w + by.place(0, column);
#pragma unroll 4
        for (int output = threadIdx.x / 32; output < by.outputs; output += 8) sum += u[output] * from[(size_t)output * by.after];
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < 32 && is_inside) {
        for (int i = 1; i < 8; ++i) sum += part[threadIdx.x + 32 * i];
        v[column] = sum;
    }
}

// Wv.
extern "C" __global__ void __launch_bounds__(256) spectral_rows(SpectralSides by, const float* w, const float* v, float* wv) {
    FOR_THREAD_ROWS((size_t)by.outputs) {
        u32 output = (u32)first + threadIdx.y;
        float sum = 0.0f;
        if (output < (u32)by.outputs) {
#pragma unroll 4
            for (u32 column = threadIdx.x; column < by.columns(); column += blockDim.x) sum += w[by.place(output, column)] * v[column];
        }
        sum = across(sum);
        if (threadIdx.x == 0 && output < (u32)by.outputs) wv[output] = sum;
    }
}

// The length of a vector, which each thread of a block of 256 gets.
__device__ __forceinline__ float spectral_length(const float* x, u32 n) {
    double total = 0.0;
    for (u32 i = threadIdx.x; i < n; i += 256) total += (double)x[i] * x[i];
    return (float)sqrt(over_block(total));
}

// Makes v of Wᵀu, and computes u and σ from W·Wᵀu. `values` are σ, u and v, which is Wᵀu before. There is one block.
extern "C" __global__ void __launch_bounds__(256) spectral_finish(SpectralSides by, int iterates, const float* wv, float* direction, float* values) {
    float* u = values + 1;
    float* v = u + by.outputs;
    // A kernel of zeros has no direction.
    float scale = spectral_length(v, by.columns()) + 1e-12f;
    for (u32 i = threadIdx.x; i < by.columns(); i += 256) v[i] /= scale;
    float length = (iterates ? spectral_length(wv, by.outputs) / scale : spectral_length(direction, by.outputs)) + 1e-12f;
    double total = 0.0;
    for (int i = threadIdx.x; i < by.outputs; i += 256) {
        float along = wv[i] / scale;
        u[i] = (iterates ? along : direction[i]) / length;
        if (iterates) direction[i] = u[i];
        total += (double)u[i] * along;
    }
    float sigma = (float)over_block(total);
    // A kernel of zeros does not change until it is updated.
    if (threadIdx.x == 0) values[0] = sigma == 0.0f ? 1.0f : sigma;
}

extern "C" __global__ void __launch_bounds__(256) spectral_divide(const float* w, const float* sigma, float* to, u64 n) {
    float factor = 1.0f / *sigma;
    FOR_NUMBERS(n) to[at] = w[at] * factor;
}

// The gradient by W from that by W/σ; `along` is Σ G∘W.
extern "C" __global__ void __launch_bounds__(256) spectral_grad(SpectralSides by, const float* values, const float* along, float* g, u64 n) {
    const float* u = values + 1;
    const float* v = u + by.outputs;
    float factor = 1.0f / values[0];
    float by_directions = *along * factor * factor;
    FOR_NUMBERS(n) {
        u32 row = (u32)at / (u32)by.after;
        u32 output = row % (u32)by.outputs, column = row / (u32)by.outputs * by.after + (u32)at % (u32)by.after;
        g[at] = g[at] * factor - by_directions * u[output] * v[column];
    }
}
