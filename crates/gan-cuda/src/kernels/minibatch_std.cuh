// Minibatch standard deviation. The formulas are in minibatch_std.rs. Sample i is in the group i modulo the number of groups, each of which has
// `members` samples of `len` numbers.
#pragma once
#include "reductions.cuh"

struct Groups { int groups, members; u64 len; };

// Statistics of one number over the samples of a group.
struct GroupMoments {
    float scale, mean, inverse;
    // The number is the first of those at x, which are `step` apart.
    template <class T> __device__ __forceinline__ GroupMoments(const T* x, size_t step, int members) : scale(1.0f / members), mean(0.0f) {
        for (int m = 0; m < members; ++m) mean += wide(x[m * step]) * scale;
        float variance = 0.0f;
        for (int m = 0; m < members; ++m) { float d = wide(x[m * step]) - mean; variance += d * d * scale; }
        inverse = 1.0f / sqrtf(variance + 1e-8f);
    }
    // E[t], and E[(x - mean)·t].
    template <class T> __device__ __forceinline__ void with_tangents(const T* x, const T* t, size_t step, int members, float* mean_t, float* along) const {
        *mean_t = *along = 0.0f;
        for (int m = 0; m < members; ++m) {
            *mean_t += wide(t[m * step]) * scale;
            *along += (wide(x[m * step]) - mean) * wide(t[m * step]) * scale;
        }
    }
};

// The sum of the deviations, or with tangents t of their tangents, over this block's numbers of a group, which is the second index.
template <class T> __device__ __forceinline__ void std_sums(Groups by, const T* x, const T* t, double* partial) {
    size_t step = by.groups * by.len;
    double total = 0.0;
    FOR_NUMBERS(by.len) {
        const T* from = x + blockIdx.y * by.len + at;
        GroupMoments of(from, step, by.members);
        float value = 1.0f / of.inverse;
        if (t) {
            float mean_t, along;
            of.with_tangents(from, t + blockIdx.y * by.len + at, step, by.members, &mean_t, &along);
            value = along * of.inverse;
        }
        total += value;
    }
    total = over_block(total);
    if (threadIdx.x == 0) partial[(size_t)blockIdx.y * gridDim.x + blockIdx.x] = total;
}
#define P_STD_SUMS(T) (Groups by, const T* x, const T* t, double* partial)
EACH_TYPE(std_sums, P_STD_SUMS, (by, x, t, partial))

// y = x with the value of the sample's group as one more channel; `count` is that of y's numbers.
template <class T> __device__ __forceinline__ void std_concat(Groups by, const T* x, const float* values, T* y, u64 count, int channels, int pixels) {
    FOR_NUMBERS(count) {
        u32 pixel = (u32)at / (u32)(channels + 1), k = (u32)at % (u32)(channels + 1);
        if (k < (u32)channels) y[at] = x[(size_t)pixel * channels + k];
        else y[at] = Narrow<T>::of(values[pixel / (u32)pixels % (u32)by.groups]);
    }
}
#define P_STD_CONCAT(T) (Groups by, const T* x, const float* values, T* y, u64 count, int channels, int pixels)
EACH_TYPE(std_concat, P_STD_CONCAT, (by, x, values, y, count, channels, pixels))

// The sum of the new channel's gradients over each group, divided by the numbers of all its samples. A group has a block.
template <class T> __device__ __forceinline__ void std_factors(Groups by, const T* g, int channels, int pixels, float* factors) {
    double total = 0.0;
    for (u32 i = threadIdx.x; i < (u32)by.members * pixels; i += 256) {
        size_t sample = blockIdx.x + (size_t)(i / (u32)pixels) * by.groups;
        total += wide(g[(sample * pixels + i % (u32)pixels) * (channels + 1) + channels]);
    }
    total = over_block(total);
    if (threadIdx.x == 0) factors[blockIdx.x] = (float)(total / ((double)by.members * by.len));
}
#define P_STD_FACTORS(T) (Groups by, const T* g, int channels, int pixels, float* factors)
EACH_TYPE(std_factors, P_STD_FACTORS, (by, g, channels, pixels, factors))

// The gradient of an old channel, of which `at` is the place among a sample's numbers.
template <class T> __device__ __forceinline__ float old_gradient(Groups by, const T* g, size_t sample, u32 at, int channels) {
    u32 pixel = at / (u32)channels, k = at % (u32)channels;
    return g ? wide(g[sample * (by.len / channels) * (channels + 1) + (size_t)pixel * (channels + 1) + k]) : 0.0f;
}

template <class T> __device__ __forceinline__ void std_grad(Groups by, const T* x, const T* g, const float* factors, T* dx, int channels) {
    size_t step = by.groups * by.len;
    FOR_NUMBERS(step) {
        u32 group = (u32)at / (u32)by.len, i = (u32)at % (u32)by.len;
        GroupMoments of(x + at, step, by.members);
        float factor = factors[group] * of.inverse;
        for (int m = 0; m < by.members; ++m) {
            float value = old_gradient(by, g, group + (size_t)m * by.groups, i, channels) + factor * (wide(x[at + m * step]) - of.mean);
            dx[at + m * step] = Narrow<T>::of(value);
        }
    }
}
#define P_STD_GRAD(T) (Groups by, const T* x, const T* g, const float* factors, T* dx, int channels)
EACH_TYPE(std_grad, P_STD_GRAD, (by, x, g, factors, dx, channels))

// Adjoints of the values; those of the tangents are `std_grad`'s. Without the adjoints g of the values after the layer these are zero.
template <class T> __device__ __forceinline__ void std_bend(Groups by, const T* x, const T* t, const T* g, const float* of_h, const float* of_g, T* xbar, int channels) {
    size_t step = by.groups * by.len;
    FOR_NUMBERS(step) {
        u32 group = (u32)at / (u32)by.len, i = (u32)at % (u32)by.len;
        GroupMoments of(x + at, step, by.members);
        float mean_t, along;
        of.with_tangents(x + at, t + at, step, by.members, &mean_t, &along);
        for (int m = 0; m < by.members; ++m) {
            float direction = (wide(x[at + m * step]) - of.mean) * of.inverse;
            float bend = (wide(t[at + m * step]) - mean_t) * of.inverse - along * of.inverse * of.inverse * direction;
            float value = old_gradient(by, g, group + (size_t)m * by.groups, i, channels) + of_h[group] * bend + (g ? of_g[group] * direction : 0.0f);
            xbar[at + m * step] = Narrow<T>::of(value);
        }
    }
}
#define P_STD_BEND(T) (Groups by, const T* x, const T* t, const T* g, const float* of_h, const float* of_g, T* xbar, int channels)
EACH_TYPE(std_bend, P_STD_BEND, (by, x, t, g, of_h, of_g, xbar, channels))
